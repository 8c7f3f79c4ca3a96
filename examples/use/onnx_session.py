"""Features of a recording from an ONNX file, without torch: needs onnxruntime, numpy, soundfile and soxr.

    mert-export-onnx exp/mert_95m/checkpoint_last.pt mert.onnx --layers 7 12
    python examples/use/onnx_session.py mert.onnx song.flac --out song.npz

The file gets one array per layer, (windows, width): the mean over the frames of each window.
"""

import argparse

import numpy as np
import onnxruntime
import soundfile
import soxr


def read_mono(path: str, sample_rate: int) -> np.ndarray:
    """A recording as (T,) float32 at ``sample_rate``."""
    wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(wave.mean(axis=1), rate, sample_rate).astype(np.float32)


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    options.add_argument("model", help="file of mert-export-onnx")
    options.add_argument("audio", help="any file that soundfile reads")
    options.add_argument("--out", required=True, help=".npz file to write")
    options.add_argument("--window", type=float, default=10.0, help="seconds of a window (default: 10)")
    return options


def main() -> None:
    """Compute, print what was written."""
    chosen = parser().parse_args()
    session = onnxruntime.InferenceSession(chosen.model)
    facts = session.get_modelmeta().custom_metadata_map
    layers = [output.name for output in session.get_outputs()]
    wave = read_mono(chosen.audio, int(facts["sample_rate"]))
    window = int(chosen.window * int(facts["sample_rate"]))
    clips = [wave[start : start + window] for start in range(0, len(wave), window)]
    clips = [clip for clip in clips if len(clip) >= int(facts["shortest_samples"])]
    if not clips:
        raise SystemExit(f"{chosen.audio}: shorter than one frame ({facts['shortest_samples']} samples).")

    features: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for clip in clips:
        for layer, frames in zip(layers, session.run(layers, {"wave": clip[None]}), strict=True):
            features[layer].append(frames[0].mean(axis=0))
    np.savez(chosen.out, **{layer: np.stack(windows) for layer, windows in features.items()})
    rate = facts["frame_rate_hz"]
    print(f"{chosen.out}: windows: {len(clips)}, layers: {', '.join(layers)}, {rate} frames per second")


if __name__ == "__main__":
    main()
