"""Job arrays through submitit, on this machine or on Slurm: submit, wait, and report the first failed job."""

import argparse
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import submitit

from mert_fairseq.arguments import positive_int
from mert_fairseq.jobs.command import RESUMABLE, JobError

LAUNCHERS = ("local", "slurm")
POLL_SECONDS = 2.0
RESULT_TIMEOUT_SECONDS = 60.0  # for the result of a job that has ended: Slurm may requeue it within this time
DEFAULTS = {"timeout_min": 24 * 60, "stderr_to_stdout": True}


def add_launch_options(options: argparse.ArgumentParser) -> None:
    """Add the options for running the parts of a label job as an array.

    A part is called a shard in the option and in file names, so that earlier commands and journals stay valid.
    """
    options.add_argument("--launcher", choices=LAUNCHERS, help="run the parts as jobs through submitit, then merge")
    options.add_argument("--shards", type=positive_int, default=1, help="with --launcher: number of parts, a job each")
    options.add_argument(
        "--job-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="with --launcher: parameters of submitit, such as slurm_partition=cpu slurm_account=me timeout_min=600 "
        "mem_gb=16",
    )


def job_options(pairs: Sequence[str], workers: int) -> dict[str, Any]:
    """Read parameters of submitit from KEY=VALUE; digits become an int.

    Raises:
        ValueError: if a pair has another form.
    """
    given: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals and value):
            raise ValueError(f"--job-options {pair}: expected KEY=VALUE, such as slurm_partition=cpu.")
        given[key] = int(value) if value.isdigit() else value
    return {**DEFAULTS, "cpus_per_task": workers, **given}


def run_array(
    tasks: Sequence[Callable[[], None]], name: str, folder: Path, launcher: str, workers: int, pairs: Sequence[str]
) -> None:
    """Run each task as a job of one array and wait for all of them.

    Args:
        tasks: picklable; a task with a ``checkpoint`` method is submitted again after a time-out or preemption.
        name: of the array in the queue.
        folder: gets the logs.
        launcher: "local" or "slurm".
        workers: processor cores per job.
        pairs: parameters of submitit as KEY=VALUE.

    Raises:
        JobError: naming the first job that failed; the same command resumes.
        ValueError: if a parameter is unknown.
    """
    try:
        executor = submitit.AutoExecutor(folder / "%j", cluster=launcher, slurm_max_num_timeout=1000)
        executor.update_parameters(**{"name": name, **job_options(pairs, workers)})
    except (NameError, ValueError, RuntimeError) as error:
        raise ValueError(f"--launcher {launcher}: {error}") from error
    wait_for(executor.submit_array(list(tasks)), folder)


def wait_for(jobs: Sequence[submitit.Job], folder: Path) -> None:
    """Wait for jobs; a job may be requeued meanwhile.

    Raises:
        JobError: naming the first job that failed, or that ended without a result.
    """
    waiting = dict(enumerate(jobs))
    ended: dict[int, float] = {}
    while waiting:
        time.sleep(POLL_SECONDS)
        first = min(waiting)
        for place, job in list(waiting.items()):
            if job.paths.result_pickle.exists():
                _raise_if_failed(job, folder)
                del waiting[place]
            elif not job.done(force_check=place == first):  # one call to Slurm updates all jobs
                ended.pop(place, None)
            elif time.monotonic() - ended.setdefault(place, time.monotonic()) > RESULT_TIMEOUT_SECONDS:
                raise _failed(job, folder, f"ended as {job.state} without a result")


def _raise_if_failed(job: submitit.Job, folder: Path) -> None:
    try:
        job.result()
    except (submitit.core.utils.FailedJobError, submitit.core.utils.UncompletedJobError) as error:
        raise _failed(job, folder, str(error).strip().splitlines()[-1]) from error


def _failed(job: submitit.Job, folder: Path, reason: str) -> JobError:
    return JobError(f"job {job.job_id}: {reason}. See {folder / job.job_id}; {RESUMABLE}.")


def reset_signals_in_workers() -> None:
    """Call in a job before it starts worker processes: then only the job itself reacts to signals and is requeued."""
    os.register_at_fork(after_in_child=_reset_signals)


def _reset_signals() -> None:
    """In a worker process: end on SIGTERM, and ignore the signal by which Slurm announces a time-out."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
