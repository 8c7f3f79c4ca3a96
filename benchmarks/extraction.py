"""Extraction against transformers' HubertModel with the same weights: speed, peak memory, largest difference.

    python benchmarks/extraction.py [--clips 8] [--seconds 30] [--minutes 10] [--runs 3] [--threads 2] [--json FILE]

Random weights of the 95M model, float32, on a CPU. Each run is a process of its own, so that its peak memory is its
own; the sides take turns. ``clips``: clips of one length, one at a time, all layers kept. ``layer 7``: the same, one
layer, which HubertModel can only choose afterwards. ``long``: one file, whole in HubertModel, in windows here, the mean
of the last layer; its values differ by the windows. A side that runs out of memory is reported as killed.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from ratios import write_pairs
from torch import Tensor

RATE = 24_000
SIDES = ("hubert", "ours")
CASES = ("clips", "layer 7", "long")


def music(seconds: float, seed: int) -> Tensor:
    """(1, samples) float32: a chord and noise."""
    rng = np.random.default_rng(seed)
    clock = np.arange(round(seconds * RATE)) / RATE
    notes = 110 * 2 ** (rng.integers(0, 36, 3) / 12)
    wave = 0.2 * np.sin(2 * np.pi * notes[:, None] * clock).sum(0) + 0.05 * rng.standard_normal(len(clock))
    return torch.from_numpy(wave.astype(np.float32))[None]


def make_models(folder: Path) -> None:
    """Write a 95M model of random weights as a checkpoint, and as the Hugging Face folder that it is exported to."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    import transformers
    from hubert_twin import hubert_name
    from omegaconf import OmegaConf

    from mert_fairseq.models.mert import MERTModel
    from mert_fairseq.models.mert_config import MERTConfig

    torch.manual_seed(0)
    options = {"_name": "mert", "label_rate": 75.0, "final_dim": 64}  # HuBERT's defaults are the 95M model
    model = MERTModel(OmegaConf.merge(OmegaConf.structured(MERTConfig), options), RATE, [1028])
    task = {"_name": "mert_pretraining", "sample_rate": RATE, "normalize": False}
    torch.save({"cfg": {"model": options, "task": task}, "model": model.state_dict()}, folder / "mert.pt")
    twin = transformers.HubertModel(transformers.HubertConfig())
    weights = model.state_dict().items()
    twin.load_state_dict({theirs: weight for name, weight in weights if (theirs := hubert_name(name))})
    twin.save_pretrained(folder / "hubert")


def features_of(side: str, folder: Path, case: str) -> Callable[[Tensor], Tensor]:
    """(1, T) to (N, F, D), or (N, D) in the case ``long``."""
    only = [7] if case == "layer 7" else None
    if side == "ours":
        from mert_fairseq.extraction import extract_layers, load_encoder

        encoder = load_encoder(folder / "mert.pt", "cpu")
        if case == "long":
            return lambda wave: extract_layers(encoder, wave[0], [12]).mean(1)
        return lambda wave: encoder.layers(wave, only)[0]
    import transformers

    model = transformers.HubertModel.from_pretrained(folder / "hubert").eval()

    @torch.no_grad()
    def states(wave: Tensor) -> Tensor:
        outputs = model(wave, output_hidden_states=case != "long")
        if case == "long":
            return outputs.last_hidden_state.mean(1)
        return torch.cat([outputs.hidden_states[layer] for layer in only or range(len(outputs.hidden_states))])

    return states


def measure(side: str, case: str, folder: Path, waves: list[Tensor], threads: int) -> dict[str, float]:
    """Times real time, and peak MiB of the process; the features of the first wave are written beside the models."""
    torch.set_num_threads(threads)
    features = features_of(side, folder, case)
    features(waves[0][:, : 2 * RATE])
    start, cpu = time.perf_counter(), time.process_time()
    found = [features(wave) for wave in waves]
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    np.save(folder / f"{side}_{case}.npy", found[0].numpy())
    seconds = sum(wave.shape[1] for wave in waves) / RATE
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"times_real_time": seconds / wall, "cpu_seconds_per_second": cpu / seconds, "mib": mib}


def child(arguments: list[str]) -> dict[str, float] | None:
    """A measurement in a process of its own; None if it was killed."""
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if done.returncode not in (0, -9, 137):
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def report(case: str, results: dict[str, list[dict[str, float] | None]], folder: Path) -> dict[str, list[float]]:
    """Print medians, paired ratios and the largest difference of the features; returns the ratios."""
    print(f"\n{case}\n\n| | times real time | CPU seconds per second | peak MiB |\n|---|--:|--:|--:|")
    for side, runs in results.items():
        whole = [run for run in runs if run]
        cells = [f"{statistics.median(run[key] for run in whole):.3g}" for key in whole[0]] if whole else ["killed"] * 3
        print(f"| {side} | {' | '.join(cells)} |")
    pairs = [(theirs, ours) for theirs, ours in zip(*results.values(), strict=True) if theirs and ours]
    if pairs:
        speed = [ours["times_real_time"] / theirs["times_real_time"] for theirs, ours in pairs]
        memory = [theirs["mib"] / ours["mib"] for theirs, ours in pairs]
        print(f"| ratio, median | {statistics.median(speed):.2f} | | {statistics.median(memory):.2f} |")
        print(f"| range | {min(speed):.2f} to {max(speed):.2f} | | {min(memory):.2f} to {max(memory):.2f} |")
        theirs, ours = (np.load(folder / f"{side}_{case}.npy") for side in SIDES)
        print(f"\nlargest difference {np.abs(theirs - ours).max():.1e}, of values up to {np.abs(theirs).max():.1f}")
        return {f"extraction of {case} against HubertModel, speed": speed, f"extraction of {case}, memory": memory}
    return {}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clips", type=int, default=8)
    options.add_argument("--seconds", type=float, default=30.0, help="of a clip")
    options.add_argument("--minutes", type=float, default=10.0, help="of the long file")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    options.add_argument("--json", type=Path, metavar="FILE", help="write the ratio of each pair")
    options.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        side, case, folder = chosen.child
        seconds, count = (chosen.minutes * 60, 1) if case == "long" else (chosen.seconds, chosen.clips)
        waves = [music(seconds, seed) for seed in range(count)]
        print(json.dumps(measure(side, case, Path(folder), waves, chosen.threads)))
        return
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    print(
        f"{os.cpu_count()} cores of {platform.processor() or platform.machine()}, {chosen.threads} threads, {versions}"
    )
    print(f"{chosen.clips} clips of {chosen.seconds:g} s, a file of {chosen.minutes:g} min; {chosen.runs} paired runs")
    pairs: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        make_models(Path(folder))
        for case in chosen.cases:
            results: dict[str, list[dict[str, float] | None]] = {side: [] for side in SIDES}
            for _ in range(chosen.runs):
                for side, runs in results.items():
                    numbers = ("clips", "seconds", "minutes", "threads")
                    passed = [word for name in numbers for word in (f"--{name}", str(getattr(chosen, name)))]
                    runs.append(child(["--child", side, case, folder, *passed]))
            pairs |= report(case, results, Path(folder))
    write_pairs(chosen.json, pairs)


if __name__ == "__main__":
    main()
