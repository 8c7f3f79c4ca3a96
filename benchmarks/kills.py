#!/usr/bin/env python
"""Kills trainings and label jobs at random moments, resumes them, and compares the results with uninterrupted runs.

    python benchmarks/kills.py --kills 100 --folder exp/kills
    python benchmarks/kills.py --kills 10 --only labels --json

Each run is a child of this process, which has already imported everything, so that kills happen during the work and not
during the start. Exit status 1 if more than the updates since the last save was lost, or a result differs.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/label_extraction")]
UPDATES, SAVE_EVERY = 150, 5


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="number of kills of each kind")
    parser.add_argument("--only", choices=("training", "labels"))
    parser.add_argument("--folder", type=Path, help="folder of data and runs (default: a temporary one)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random times")
    parser.add_argument("--json", action="store_true")
    return parser


def run_child(work: Callable[[], None], log: Path, seconds: float | None = None) -> int | None:
    """Run ``work`` in a child process and kill it after ``seconds``; returns its exit status, or None if killed."""
    child = os.fork()
    if child == 0:
        os.setsid()
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        status = 1
        try:
            work()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            sys.stdout.flush()
            os._exit(status)
    end = time.monotonic() + seconds if seconds is not None else float("inf")
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def repeat(
    kills: int, rng: random.Random, new_run: Callable[[int], tuple[Callable[[], None], Path]], seconds: float
) -> tuple[int, int, list[Path]]:
    """Kill and restart runs until ``kills`` is reached and the last run is complete; returns kills, runs and logs."""
    done_kills, logs = 0, []
    while done_kills < kills:
        work, log = new_run(len(logs))
        logs.append(log)
        while (status := run_child(work, log, rng.uniform(0.1, seconds))) is None:
            done_kills += 1
            with log.open("a") as file:
                file.write("\n== killed\n")
        if status:
            raise SystemExit(f"{log}: exit status {status}")
    return done_kills, len(logs), logs


def kill_trainings(folder: Path, kills: int, rng: random.Random) -> dict[str, Any]:
    """Train a tiny MERT with data-loading processes and a save every few updates."""
    from fairseq_cli.hydra_train import cli_main
    from tone_corpus import make_tone_corpus
    from training.conftest import SMALL

    import mert_fairseq  # noqa: F401
    from mert_fairseq.checkpointing.safe_loading import read_checkpoint

    data = make_tone_corpus(folder / "corpus", {"train": 40, "valid": 2})

    def new_run(number: int) -> tuple[Callable[[], None], Path]:
        save_dir = folder / f"training{number}"

        def work() -> None:
            os.chdir(ROOT)
            sys.argv = [
                "fairseq-hydra-train", f"--config-dir={ROOT}/config/pretrain", "--config-name=mert_95m",
                f"task.data={data}", f"checkpoint.save_dir={save_dir}", *SMALL, "dataset.num_workers=1",
                f"optimization.max_update={UPDATES}", f"checkpoint.save_interval_updates={SAVE_EVERY}",
                "checkpoint.keep_interval_updates=2", "checkpoint.save_interval=99",
            ]  # fmt: skip
            cli_main()

        return work, folder / f"training{number}.log"

    work, log = new_run(-1)
    start = time.monotonic()
    if run_child(work, log):
        raise SystemExit(f"{log}: the uninterrupted run failed")
    seconds = time.monotonic() - start
    expected = read_checkpoint(folder / "training-1/checkpoint_last.pt")["model"]
    done_kills, runs, logs = repeat(kills, rng, new_run, seconds)
    ends = [read_checkpoint(folder / f"training{number}/checkpoint_last.pt")["model"] for number in range(runs)]
    differing = sum(not all(torch.equal(value, end[name]) for name, value in expected.items()) for end in ends)
    attempts = [log.read_text().split("== killed") for log in logs]
    killed = [text for texts in attempts for text in texts[:-1]]
    lost = [updates for texts in attempts for updates in lost_updates(texts)]
    return {
        "what": "training", "kills": done_kills, "runs": runs, "seconds_uninterrupted": round(seconds, 1),
        "kills_during_a_save": sum(t.count("Saving checkpoint to") > t.count("Saved checkpoint") for t in killed),
        "updates_lost_most": max(lost, default=0), "updates_between_saves": SAVE_EVERY,
        "updates_lost_mean": round(sum(lost) / max(1, len(lost)), 2), "ends_that_differ": differing,
        "failed": bool(differing or max(lost, default=0) > SAVE_EVERY),
    }  # fmt: skip


def lost_updates(attempts: list[str]) -> list[int]:
    """For each attempt of a run that began to train: the number of earlier updates that it repeated."""
    lost, reached = [], 0
    for attempt in attempts:
        loaded = re.findall(r"Loaded checkpoint .*@ (\d+) updates", attempt)
        start_update = int(loaded[0]) if loaded else 0
        updates = [int(update) for update in re.findall(r'train_inner.*"num_updates": "(\d+)"', attempt)]
        if loaded or updates:
            lost.append(max(0, reached - start_update))
            reached = max([start_update, *updates])
    return lost


def kill_labels(folder: Path, kills: int, rng: random.Random) -> dict[str, Any]:
    """Label noise with a residual K-means in two processes, and merge."""
    from label_corpus import label_files, write_audio, write_teacher

    from mert_fairseq.label_extraction import LabelJob, TeacherSource, merge_parts, run_part

    manifest = write_audio(folder, [16_000 + 997 * track for track in range(150)])
    source = TeacherSource(str(write_teacher(folder)))

    def new_run(number: int) -> tuple[Callable[[], None], Path]:
        label_dir = folder / f"labels{number}"
        label_dir.mkdir()

        def work() -> None:
            job = LabelJob(manifest, label_dir, "rvq", source, "both")
            run_part(job, workers=2)
            merge_parts(job)

        return work, folder / f"labels{number}.log"

    work, log = new_run(-1)
    start = time.monotonic()
    if run_child(work, log):
        raise SystemExit(f"{log}: the uninterrupted job failed")
    seconds = time.monotonic() - start
    done_kills, runs, logs = repeat(kills, rng, new_run, seconds)
    expected = label_files(folder / "labels-1")
    differing = sum(label_files(folder / f"labels{number}") != expected for number in range(len(logs)))
    return {
        "what": "labels", "kills": done_kills, "runs": runs, "seconds_uninterrupted": round(seconds, 1),
        "ends_that_differ": differing, "failed": bool(differing),
    }  # fmt: skip


def main() -> int:
    """Kill both kinds of runs; returns the exit status."""
    chosen = options().parse_args()
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="kills-"))
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    results = []
    for kind, kill in (("training", kill_trainings), ("labels", kill_labels)):
        if chosen.only in (None, kind):
            (folder / kind).mkdir()
            results.append(kill(folder / kind, chosen.kills, random.Random(chosen.seed)))
            if not chosen.json:
                print("\n".join(f"{name:>24}  {value}" for name, value in results[-1].items()), flush=True)
    if chosen.json:
        print(json.dumps(results))
    failed = any(result["failed"] for result in results)
    if not chosen.folder and not failed:
        shutil.rmtree(folder)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
