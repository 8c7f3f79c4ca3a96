"""Trains a recipe with two versions of the code on the same seed and data; compares losses and processor time.

    git worktree add ../before b81b315
    OMP_NUM_THREADS=1 python -W ignore benchmarks/loss_parity.py ../before [--updates 200] [--recipe tiny]

Both versions run as ``fairseq-hydra-train`` on made-up clips, on a CPU, and log every update. They compute the same
sums in another order, so the losses may differ by rounding, which grows slowly with the updates. The processor time of
an update is that of the whole training, less that of a training of one update, so that other work does not count.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from recipe_training import write_corpus

from mert_fairseq.reporting.training_log import Curve, TrainingLog

ROOT = Path(__file__).resolve().parents[1]
CLIPS = 24  # 2.5 s each: 6 updates per epoch of tiny
SHOWN = (1, 50, 100, 150, 200)


def losses(version: Path, corpus: Path, recipe: str, updates: int, folder: Path) -> tuple[Curve, float]:
    """The loss of each update, in bits per masked frame, and the processor seconds, with the code of a checkout."""
    options = [
        f"task.data={corpus}", "task.labels=rvq", f"optimization.max_update={updates}", "common.log_interval=1",
        "dataset.disable_validation=true", "checkpoint.no_save=true", f"common.log_file={folder}/log.json",
        f"checkpoint.save_dir={folder}", f"hydra.run.dir={folder}", "distributed_training.distributed_world_size=1",
    ]  # fmt: skip
    command = ["-W", "ignore", "-m", "fairseq_cli.hydra_train", "--config-dir", f"{version}/config/pretrain"]
    environment = {**os.environ, "PYTHONPATH": str(version)}
    folder.mkdir()
    words = [sys.executable, *command, "--config-name", recipe, *options]
    start = processor_seconds()
    subprocess.run(words, check=True, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
    return TrainingLog.read(folder / "log.json").curve("loss"), processor_seconds() - start


def processor_seconds() -> float:
    """User and system time of all finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Train twice and print the differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="checkout of the other version")
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--recipe", default="tiny")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = write_corpus(folder / "corpus", CLIPS, 2.5)
        curves, milliseconds = [], []
        for side, version in (("before", args.before), ("after", ROOT)):
            _, started = losses(version.resolve(), corpus, args.recipe, 1, folder / f"{side}_start")
            curve, whole = losses(version.resolve(), corpus, args.recipe, args.updates, folder / side)
            curves.append(curve.values)
            milliseconds.append(1000 * (whole - started) / (args.updates - 1))
    before, after = curves
    difference = np.abs(after / before - 1)
    print("| update | loss before | loss after | relative difference |\n|--:|--:|--:|--:|")
    for update in [update for update in SHOWN if update <= len(before)]:
        row = update - 1
        print(f"| {update} | {before[row]:.3f} | {after[row]:.3f} | {difference[row]:.1e} |")
    print(f"\nlargest relative difference in {len(before)} updates: {difference.max():.1e}")
    print(f"processor time of an update: {milliseconds[0]:.1f} ms before, {milliseconds[1]:.1f} ms after")


if __name__ == "__main__":
    main()
