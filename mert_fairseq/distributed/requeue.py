"""Queueing a Slurm job again when it leaves before its work is done."""

import logging
import os
import re
import signal
import subprocess
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)


def requeue(number: int, submitit_handler: Callable[..., Any] | None) -> None:
    """Have this job started again: through submitit if that started it, else by ``scontrol requeue``.

    A job that was cancelled stays so, and outside Slurm there is nothing to do.

    Args:
        number: of the signal that asked to stop.
        submitit_handler: what submitit does on SIGUSR2, or None.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job and (state := job_state(job)) != "RUNNING":
        logger.warning(f"job {job} is {state}: not queued again")
        return
    if submitit_handler:
        try:
            submitit_handler(signal.SIGUSR2, None)
        except SystemExit:  # how it leaves when the job is queued again
            logger.warning("queued again through submitit")
    elif job:
        logger.warning(f"queueing job {job} again")  # said before, since Slurm may end this process at once
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
        if done.returncode:
            logger.error(f"scontrol requeue {job} failed: {done.stderr.strip()}. Submit the job again; it goes on.")


def job_state(job: str) -> str:
    """Slurm's word for a job's state, such as RUNNING or CANCELLED; UNKNOWN if Slurm does not answer."""
    try:
        done = subprocess.run(["scontrol", "show", "job", "-o", job], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.error(f"scontrol does not answer: {error}")
        return "UNKNOWN"
    match = re.search(r"\bJobState=(\w+)", done.stdout)
    return match[1] if match else "UNKNOWN"
