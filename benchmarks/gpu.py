"""Measures training and extraction on a GPU: update time, share of peak, memory, parts, kernels, hours per minute.

    python benchmarks/gpu.py --json gpu.json
    python benchmarks/gpu.py --sizes 95m --batches 16 64 --only updates
    python benchmarks/gpu.py --device cpu --sizes tiny --batches 1 2 --updates 1     # tries every measurement

Each model is trained on made-up clips with the recipe's task, criterion and trainer, layer drop off. First batch sizes
up to the memory, without compilation; then model.compile and fairseq's adam at 16 clips (or the smallest) and at the
best batch; then the parts and kernels of an update at the best batch. FLOPs and the memory that was to be expected come
from benchmarks/budget.py. Every measurement is a process of its own: one that fails is reported, and the others run.
Exit status: 0 all measured, 1 no GPU, or a measurement failed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))
PEAK_TFLOPS = {  # dense, half precision, from the makers' data sheets
    "H100 PCIe": 756.0, "H100": 989.0, "H200": 989.0, "GH200": 989.0, "A100": 312.0, "L40S": 362.0, "A10G": 70.0,
    "V100": 125.0, "RTX 4090": 165.0, "RTX 3090": 71.0,
}  # fmt: skip
BATCHES = [8, 16, 32, 64, 96, 128, 160]  # clips; a batch of more than 174 clips of 5 s exceeds 2^31 elements
COMMON_BATCH = 16  # clips; of the budget
CHILDREN = ("updates", "parts", "extraction", "command")
CHILD_SECONDS = 1800  # a measurement that takes longer is ended


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="cpu: to try the command")
    parser.add_argument("--sizes", nargs="+", default=["95m", "330m"], choices=("95m", "330m", "tiny"))
    parser.add_argument("--precision", choices=("bf16", "fp16", "float32"), help="default: bf16; float32 on a CPU")
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES, help="clips, in rising order")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a clip")
    parser.add_argument("--updates", type=int, default=10, help="timed in each of 3 rounds")
    parser.add_argument("--compile", nargs="*", default=["layers", "all"], choices=("layers", "all"))
    parser.add_argument("--windows", nargs="+", type=int, default=[1, 8, 24], help="of extraction, per batch")
    parser.add_argument("--window-seconds", type=float, default=32.0, help="of extraction")
    parser.add_argument("--files", type=int, default=40, help="for mert-extract")
    parser.add_argument("--file-seconds", type=float, default=180.0)
    parser.add_argument("--only", nargs="+", choices=CHILDREN, default=CHILDREN)
    parser.add_argument("--peak-tflops", type=float, help="of the GPU in half precision, if it is not a known one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results; rewritten after each measurement")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    return parser


def machine(device: str) -> dict[str, str]:
    """The device and the versions of the libraries."""
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    versions = {library: version(library) for library in ("torch", "ve-fairseq", "numpy")}
    return {"device": name, "cuda": str(torch.version.cuda), "python": sys.version.split()[0], **versions}


def peak_tflops(device_name: str) -> float | None:
    """The peak of a known GPU; the longest known name that fits is right ("H100 PCIe", not "H100")."""
    known = [name for name in PEAK_TFLOPS if all(word in device_name for word in name.split())]
    return PEAK_TFLOPS[max(known, key=len)] if known else None


class Session:
    """Runs measurements in processes, and collects their results."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen = chosen
        self.results: dict[str, Any] = {
            "command": " ".join(sys.argv), "machine": machine(chosen.device), "seconds": chosen.seconds,
            "updates": [], "parts": [], "extraction": [], "command_runs": [], "failed": [],
        }  # fmt: skip

    def measure(self, kind: str, place: str, size: str, **settings: Any) -> list[dict[str, Any]]:
        """The rows of one measurement, which are also added to the results; empty if it fails or is not asked for."""
        chosen = self.chosen
        if kind not in chosen.only:
            return []
        names = ("device", "precision", "batches", "seconds", "updates", "windows", "window_seconds", "files")
        settings = {**{name: getattr(chosen, name) for name in (*names, "file_seconds")}, "size": size, **settings}
        print(f"{kind}: {size} {settings.get('compile', '')} {settings.get('optimizer', '')}", file=sys.stderr)
        command = [sys.executable, "-W", "ignore", __file__, "--child", kind, json.dumps(settings)]
        rows = []
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=CHILD_SECONDS)
            if done.returncode:
                raise RuntimeError(f"exit status {done.returncode}: {done.stderr.strip()[-1500:]}")
            found = json.loads(done.stdout.splitlines()[-1])
            rows = found if isinstance(found, list) else [found]
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            self.results["failed"].append({"measurement": [kind, settings], "error": str(error)})
            print(f"failed: {error}", file=sys.stderr)
        self.results[place] += rows
        if chosen.json:
            chosen.json.write_text(json.dumps(self.results, indent=1) + "\n")
        return rows

    def run(self) -> None:
        """Everything, for each size."""
        for size in self.chosen.sizes:
            plain = {"compile": "off", "optimizer": "fused_adamw"}
            rows = [row for row in self.measure("updates", "updates", size, **plain) if "ms" in row]
            best = max(rows, key=lambda row: row["audio_seconds_per_second"])["clips"] if rows else COMMON_BATCH
            common = COMMON_BATCH if COMMON_BATCH in self.chosen.batches else min(self.chosen.batches)
            batches = sorted({common, best})
            for which in self.chosen.compile:
                self.measure("updates", "updates", size, **{**plain, "compile": which}, batches=batches)
            self.measure("updates", "updates", size, **{**plain, "optimizer": "adam"}, batches=batches)
            for which in ("off", *self.chosen.compile[-1:]):
                self.measure("parts", "parts", size, **{**plain, "compile": which}, batches=[best])
                self.measure("extraction", "extraction", size, compile=which)
            self.measure("command", "command_runs", size)


def run_child(kind: str, settings: dict[str, Any]) -> None:
    """One measurement; prints its result as the last line."""
    from gpu_extraction import measure_command, measure_extraction
    from gpu_updates import measure_parts, measure_updates
    from recipe_training import write_corpus

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found: Any
        if kind in ("updates", "parts"):
            corpus = write_corpus(folder, 2 * max(settings["batches"]), settings["seconds"])
            found = (measure_updates if kind == "updates" else measure_parts)(settings, corpus)
        else:
            found = (measure_extraction if kind == "extraction" else measure_command)(settings, folder)
    print(json.dumps(found))


def main() -> int:
    """Measure, print tables, write the JSON file; returns the exit status."""
    chosen = options().parse_args()
    if chosen.child:
        run_child(chosen.child[0], json.loads(chosen.child[1]))
        return 0
    if chosen.device == "cuda" and not torch.cuda.is_available():
        print("gpu.py: this machine has no GPU that torch can use. --device cpu tries the command.", file=sys.stderr)
        return 1
    chosen.precision = chosen.precision or ("bf16" if chosen.device == "cuda" else "float32")
    from gpu_tables import add_counts, tables

    session = Session(chosen)
    session.run()
    peak = chosen.peak_tflops or peak_tflops(session.results["machine"]["device"])
    add_counts(session.results, peak)
    if chosen.json:
        chosen.json.write_text(json.dumps(session.results, indent=1) + "\n")
    print(tables(session.results))
    return int(bool(session.results["failed"]))


if __name__ == "__main__":
    sys.exit(main())
