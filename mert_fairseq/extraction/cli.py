"""The command mert-extract."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mert_fairseq.arguments import Help, default_workers, positive_float, positive_int
from mert_fairseq.extraction.reading import find_inputs
from mert_fairseq.jobs.command import JobError, quiet_libraries, run_command
from mert_fairseq.jobs.rejects import listed
from mert_fairseq.preprocessing.reject_reasons import Reject

if TYPE_CHECKING:
    from mert_fairseq.extraction.frozen_encoder import Encoder

DESCRIPTION = """Extract features of audio files with a trained model: all layers or some, frames or means over time.

    mert-extract demo/run/checkpoint_last.pt ~/Music --out features
    mert-extract exp/checkpoint_last.pt song.mp3 album/ --out features --layers 7 --mean file
    mert-extract m-a-p/MERT-v1-95M ~/Music --out features --mean 5 --format safetensors --device cuda --bf16

Each file becomes FILE.npy, (layers, frames, width) float32, below --out; index.tsv lists them, rejects.tsv the files
that could not be read, with the reason. The same command continues where it stopped.

Exit status: 0 all files have features, 1 some files have none, or an error, 2 wrong options, 130 interrupted."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog="mert-extract", description=DESCRIPTION, formatter_class=Help)
    options.add_argument("model", help="checkpoint of fairseq (.pt), Hugging Face folder, or its name on the Hub")
    options.add_argument("audio", type=Path, nargs="+", help="files of any rate and format, or folders of them")
    options.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder that gets the features")
    options.add_argument(
        "--layers",
        type=_layers,
        metavar="N,N",
        help="0 for the input of the first layer, 1 for its output, and so on (default: all)",
    )
    options.add_argument(
        "--mean",
        type=_mean,
        metavar="file|SECONDS",
        help="store means over a file or over this many seconds (default: all frames)",
    )
    options.add_argument(
        "--format", choices=("npy", "safetensors", "hdf5"), default="npy", help="one .npy per file, or one file for all"
    )
    options.add_argument(
        "--window", type=positive_float, default=32.0, metavar="SECONDS", help="longer audio is cut into such windows"
    )
    options.add_argument(
        "--context",
        type=_seconds,
        default=2.0,
        metavar="SECONDS",
        help="context at both sides of a window: the model sees it, its frames are not stored",
    )
    options.add_argument("--device", help="such as cpu or cuda:1 (default: a GPU if there is one)")
    options.add_argument("--bf16", action="store_true", help="run in bfloat16; prints its error on the first window")
    options.add_argument("--batch", type=positive_int, help="windows per batch (default: 8 on a GPU, 1 on a CPU)")
    options.add_argument(
        "--workers",
        type=positive_int,
        default=default_workers(),
        help="processes that decode audio (default: one per available core)",
    )
    options.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    return options


def _layers(text: str) -> tuple[int, ...]:
    if not all(number.isdecimal() for number in text.split(",")):
        raise argparse.ArgumentTypeError(f"found {text}, expected numbers with commas, such as 7 or 0,6,12")
    return tuple(int(number) for number in text.split(","))


def _mean(text: str) -> float:
    return math.inf if text == "file" else positive_float(text)


def _seconds(text: str) -> float:
    return 0.0 if text in ("0", "0.0") else positive_float(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, extract, print; returns the exit status."""
    quiet_libraries()
    options = parser().parse_args(arguments)
    rejects: list[Reject] = []
    status = run_command("mert-extract", lambda: _run(options, rejects))
    lines = [f"mert-extract: {reject.path}: {reject.reason}: {reject.detail}" for reject in rejects]
    if lines:
        print(listed(lines, "\n").encode(errors="backslashreplace").decode(), file=sys.stderr)
    return status or (1 if rejects else 0)


def _run(options: argparse.Namespace, rejects: list[Reject]) -> str:
    """Extract; returns the summary as text, and adds the rejects."""
    from mert_fairseq.extraction.extract_files import extract
    from mert_fairseq.extraction.feature_folder import Form, Output
    from mert_fairseq.extraction.model_batches import Precision
    from mert_fairseq.extraction.windows import Windowing

    inputs = find_inputs(options.audio)
    encoder = _load(options)
    layers = tuple(encoder.check_layers(options.layers or range(encoder.num_layers)))
    windowing = Windowing.of(encoder, options.window, options.context)
    precision = Precision(encoder, layers, options.bf16)
    form = Form(layers, options.mean, options.format, options.bf16)
    batch_size = options.batch or (8 if encoder.device.type == "cuda" else 1)
    with Output(options.out, form, encoder, windowing, inputs.root) as output:
        earlier = sum(output.has(source) for source in inputs.sources)
        tally = extract(encoder, inputs, output, windowing, precision, batch_size, options.workers)
        output.close(inputs, tally.rejects)
    rejects += tally.rejects
    summary = {
        "out": str(options.out),
        "files": earlier + tally.extracted,
        "of_an_earlier_run": earlier,
        "rejects": len(rejects),
        "hours": round(tally.seconds / 3600, 4),
        "times_real_time": round(tally.seconds / max(1e-9, tally.wall_seconds), 2),
        "layers": list(layers),
        "width": encoder.width,
        "rate": output.rate,
        "sample_rate": encoder.sample_rate,
        "window_seconds": round(windowing.window_frames / encoder.frame_rate_hz, 3),
        "context_seconds": round(windowing.context_frames / encoder.frame_rate_hz, 3),
        "device": str(encoder.device),
        "digest": encoder.digest,
        "bf16_error": precision.error,
        "bf16_error_layer": precision.error_layer,
    }
    return json.dumps(summary) if options.json else as_text(summary)


def _load(options: argparse.Namespace) -> "Encoder":
    """Load the model, after a check that the output format's library is installed.

    Raises:
        JobError: if a library is not installed.
    """
    from mert_fairseq.extraction.collection import FILES, check_library
    from mert_fairseq.extraction.load_encoder import load_encoder

    try:
        if options.format in FILES:
            check_library(options.format)
        return load_encoder(options.model, options.device)
    except ImportError as error:
        raise JobError(str(error)) from error


def as_text(summary: dict[str, Any]) -> str:
    """The summary for people."""
    per = "means per file" if summary["rate"] == "file" else f"{summary['rate']} rows per second"
    earlier = f" ({summary['of_an_earlier_run']} of an earlier run)" if summary["of_an_earlier_run"] else ""
    lines = [
        f"{summary['out']}: {summary['files']} files{earlier}, {len(summary['layers'])} layers of width "
        f"{summary['width']}, {per}; {summary['hours']:.2f} h at {summary['times_real_time']:.1f} x real time",
    ]
    if summary["rejects"]:
        lines.append(f"{summary['rejects']} rejects: see {summary['out']}/rejects.tsv")
    if summary["bf16_error"] is not None:
        lines.append(
            f"bfloat16 differs from float32 by {summary['bf16_error']:.2%} on the first window (relative norm, layer "
            f"{summary['bf16_error_layer']}, the largest)"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
