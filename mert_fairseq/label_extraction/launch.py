"""Label jobs through submitit, on this machine or on Slurm: one for each shard, as an array, and then the merge."""

import argparse
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit

from mert_fairseq.arguments import positive_int
from mert_fairseq.label_extraction.label_job import LabelJob, LabelJobError
from mert_fairseq.label_extraction.label_part import run_shard
from mert_fairseq.label_extraction.merge import merge_shards
from mert_fairseq.label_extraction.parts import Shard
from mert_fairseq.label_extraction.sidecar import read_sidecar

LAUNCHERS = ("local", "slurm")
POLL_SECONDS = 2.0
PATIENCE_SECONDS = 60.0  # for the result of a job that Slurm calls ended: it may be about to queue it again
DEFAULTS = {"name": "labels", "timeout_min": 24 * 60, "stderr_to_stdout": True}


@dataclass(frozen=True)
class LabelShard:
    """What one job of the array does: a shard of each split. Queued again, it goes on where it was stopped."""

    jobs: tuple[LabelJob, ...]
    shard: Shard
    workers: int

    def __call__(self) -> None:
        """Label; the merge tells of tracks that have no codes."""
        os.register_at_fork(after_in_child=_forget_submitit)
        for job in self.jobs:
            if not read_sidecar(job):
                run_shard(job, self.shard, self.workers)

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What submitit queues when time is up or another job takes the place."""
        return submitit.helpers.DelayedSubmission(self)


def _forget_submitit() -> None:
    """In a worker process: end when the job ends it, and leave it to the job to be queued again."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def add_launch_options(options: argparse.ArgumentParser) -> None:
    """What says where label jobs run."""
    options.add_argument("--launcher", choices=LAUNCHERS, help="run the shards as jobs through submitit, then merge")
    options.add_argument("--shards", type=positive_int, default=1, help="of --launcher: jobs of the array")
    options.add_argument(
        "--job-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="of --launcher: submitit's, such as slurm_partition=cpu slurm_account=me timeout_min=600 mem_gb=16",
    )


def job_options(pairs: Sequence[str], workers: int) -> dict[str, Any]:
    """submitit's parameters from KEY=VALUE; numbers become numbers.

    Raises:
        ValueError: if one has another form.
    """
    given: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals and value):
            raise ValueError(f"--job-options {pair}: expected KEY=VALUE, such as slurm_partition=cpu.")
        given[key] = int(value) if value.isdigit() else value
    return {**DEFAULTS, "cpus_per_task": workers, **given}


def label_launched(jobs: Sequence[LabelJob], launcher: str, shards: int, workers: int, pairs: Sequence[str]) -> None:
    """Label all shards as jobs, wait for them, and merge.

    Args:
        jobs: a split each, all with the same label folder; logs go to its folder label-jobs.
        launcher: "local" or "slurm".
        shards: jobs of the array.
        workers: processes of each.
        pairs: submitit's parameters as KEY=VALUE.

    Raises:
        LabelJobError: if a job failed, or a track has no codes; the same command goes on.
        ValueError: if a parameter is unknown.
    """
    open_jobs = tuple(job for job in jobs if not read_sidecar(job))
    if open_jobs:
        folder = jobs[0].label_dir / "label-jobs"
        try:
            executor = submitit.AutoExecutor(folder / "%j", cluster=launcher, slurm_max_num_timeout=1000)
            executor.update_parameters(**job_options(pairs, workers))
        except (NameError, ValueError, RuntimeError) as error:
            raise ValueError(f"--launcher {launcher}: {error}") from error
        started = executor.submit_array([LabelShard(open_jobs, Shard(i, shards), workers) for i in range(shards)])
        wait_for(started, folder)
    for job in open_jobs:
        merge_shards(job)


def wait_for(jobs: Sequence[submitit.Job], folder: Path) -> None:
    """Wait for jobs, which may be queued again in between.

    Raises:
        LabelJobError: naming the first that failed, or ended without a result.
    """
    waiting = dict(enumerate(jobs))
    ended: dict[int, float] = {}
    while waiting:
        time.sleep(POLL_SECONDS)
        first = min(waiting)
        for place, job in list(waiting.items()):
            if job.paths.result_pickle.exists():
                _refuse_failed(job, folder)
                del waiting[place]
            elif not job.done(force_check=place == first):  # one call to Slurm tells of all
                ended.pop(place, None)
            elif time.monotonic() - ended.setdefault(place, time.monotonic()) > PATIENCE_SECONDS:
                raise _failed(job, folder, f"ended as {job.state} without a result")


def _refuse_failed(job: submitit.Job, folder: Path) -> None:
    try:
        job.result()
    except (submitit.core.utils.FailedJobError, submitit.core.utils.UncompletedJobError) as error:
        raise _failed(job, folder, str(error).strip().splitlines()[-1]) from error


def _failed(job: submitit.Job, folder: Path, reason: str) -> LabelJobError:
    return LabelJobError(
        f"job {job.job_id}: {reason}. See {folder / job.job_id}; the same command goes on where it stopped."
    )
