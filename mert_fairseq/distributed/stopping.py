"""Stops a run on a signal: after the current update all ranks save together, requeue the Slurm job, and exit.

The signals that each rank received travel with the numbers that ranks sum for logging, in every update and in every
validation step. All ranks know them after the next sum, without an additional collective.

Slurm sends SIGUSR2 some time before the time limit (``--signal=USR2@120``, which submitit requests), and SIGTERM when a
job is preempted or cancelled. A job that was not cancelled is requeued, through submitit if that started it.
"""

import logging
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Any

import torch

SIGNALS = (signal.SIGUSR2, signal.SIGTERM)
Handler = Callable[[int, FrameType | None], Any]
logger = logging.getLogger(__name__)


class StopError(Exception):
    """Raised inside a validation to end it."""


class Stop:
    """Whether this process or another rank received a signal to stop."""

    def __init__(self) -> None:
        self.signal = 0
        self._agreed = 0
        self._submitit: Handler | None = None

    def install_handlers(self) -> None:
        """Record stop signals from now on instead of ending. Data-loading processes ignore them."""
        handlers = {number: signal.signal(number, self._record) for number in SIGNALS}
        previous = handlers[signal.SIGUSR2]
        self._submitit = previous if callable(previous) and "SUBMITIT_EXECUTOR" in os.environ else None
        os.register_at_fork(after_in_child=_block_signals_in_loader)

    def _record(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number
        logger.warning(f"{signal.Signals(number).name}: saving and stopping after this update")

    def forward_signals(self, processes: Iterable[int | None]) -> None:
        """Forward the stop signals of this process to the ranks that it started."""
        ranks = [process for process in processes if process]

        def send(number: int, frame: FrameType | None) -> None:
            for rank in ranks:
                os.kill(rank, number)

        for number in SIGNALS:
            signal.signal(number, send)

    def flags(self) -> list[int]:
        """For each of ``SIGNALS``, 1 if this rank received it; the caller sums them over ranks."""
        return [int(self.signal == number) for number in SIGNALS]

    def set_summed_flags(self, sums: Sequence[float]) -> None:
        """Store the sums of all ranks' flags."""
        self._agreed = max((int(number) for number, count in zip(SIGNALS, sums, strict=True) if count), default=0)

    def agreed_signal(self, trainer: Any) -> int:
        """The signal that any rank received before the last sum, or 0; the same value on all ranks."""
        return self.signal if trainer.data_parallel_world_size == 1 else self._agreed

    def requeue_and_exit(self, number: int, trainer: Any) -> None:
        """Requeue the job and end this process with the exit status of the signal, 128 + its number.

        Raises:
            SystemExit: always, unless submitit reports that the job timed out too often.
        """
        try:
            if trainer.data_parallel_rank == 0:
                requeue(number, self._submitit)
        finally:
            if trainer.data_parallel_world_size > 1:
                torch.distributed.barrier()  # with srun -K, the first rank to exit would end rank 0
        raise SystemExit(128 + number)


STOP = Stop()


def _block_signals_in_loader() -> None:
    """Block stop signals in data-loading processes: Slurm signals them too, but the update still needs them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=_exit_on_parents_signal, args=(os.getppid(),), daemon=True).start()


def _exit_on_parents_signal(parent: int) -> None:
    """Exit on a SIGTERM that the parent sends, which is how the data loader stops its workers."""
    while True:
        received = signal.sigwaitinfo(SIGNALS)
        if received.si_signo == signal.SIGTERM and received.si_pid == parent:
            os._exit(0)


def stop_on_signal(validate_and_save: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps fairseq's ``validate_and_save``, called after each update: checks for stop signals before and during it."""

    def validate_save_or_stop(cfg: Any, trainer: Any, task: Any, epoch_itr: Any, *args: Any) -> Any:
        finished = trainer.get_num_updates() >= (cfg.optimization.max_update or float("inf"))
        if number := 0 if finished else STOP.agreed_signal(trainer):
            _save_and_exit(number, cfg, trainer, epoch_itr)
        fairseq_valid_step = trainer.valid_step

        def valid_step(*step_args: Any, **step_options: Any) -> Any:
            if not finished and STOP.agreed_signal(trainer):
                raise StopError
            return fairseq_valid_step(*step_args, **step_options)

        trainer.valid_step = valid_step
        try:
            return validate_and_save(cfg, trainer, task, epoch_itr, *args)
        except StopError:
            return _save_and_exit(STOP.agreed_signal(trainer), cfg, trainer, epoch_itr)
        finally:
            trainer.valid_step = fairseq_valid_step

    return validate_save_or_stop


def _save_and_exit(number: int, cfg: Any, trainer: Any, epoch_itr: Any) -> None:
    from fairseq import checkpoint_utils

    logger.warning(f"{signal.Signals(number).name}: saving update {trainer.get_num_updates()} and stopping")
    checkpoint_utils.save_checkpoint(cfg.checkpoint, trainer, epoch_itr, None)
    STOP.requeue_and_exit(number, trainer)


def requeue(number: int, submitit_handler: Handler | None) -> None:
    """Requeue this Slurm job: through submitit if that started it, else by ``scontrol requeue``.

    A cancelled job is not requeued. Outside Slurm this does nothing.

    Args:
        number: the stop signal.
        submitit_handler: submitit's handler of SIGUSR2, or None.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job and (state := job_state(job)) != "RUNNING":
        logger.warning(f"job {job} is {state}: not requeued")
        return
    if submitit_handler:
        try:
            submitit_handler(signal.SIGUSR2, None)
        except SystemExit:  # submitit raises it after it has requeued the job
            logger.warning("requeued through submitit")
    elif job:
        logger.warning(f"requeueing job {job}")  # logged first, because Slurm may end this process at once
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
        if done.returncode:
            logger.error(
                f"scontrol requeue {job} failed: {done.stderr.strip()}. Submit the job again; it continues from its "
                f"last checkpoint."
            )


def job_state(job: str) -> str:
    """Slurm's name of the job's state, such as RUNNING or CANCELLED; UNKNOWN if Slurm does not respond."""
    try:
        done = subprocess.run(["scontrol", "show", "job", "-o", job], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.error(f"scontrol does not respond: {error}")
        return "UNKNOWN"
    match = re.search(r"\bJobState=(\w+)", done.stdout)
    return match[1] if match else "UNKNOWN"
