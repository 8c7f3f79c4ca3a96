"""Stopping when asked to: a signal is noted, and after an update all ranks save together and leave.

With several ranks, what each rank was sent travels with the numbers that ranks sum for logging in every update and in
every validation step, so that all know it after the next one: no collective of its own.

Slurm sends SIGUSR2 some time before a job's time is up (``--signal=USR2@120``, as submitit asks for), and SIGTERM when
a job is preempted or cancelled. A job that was not cancelled is queued again, through submitit where that started it.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Any

import torch

from mert_fairseq.distributed.requeue import requeue

SIGNALS = (signal.SIGUSR2, signal.SIGTERM)
Handler = Callable[[int, FrameType | None], Any]
logger = logging.getLogger(__name__)


class StopError(Exception):
    """Raised within a validation that is to be left."""


class Stop:
    """Whether this process was asked to stop, and what was to happen before we listened."""

    def __init__(self) -> None:
        self.signal = 0
        self._agreed = 0
        self._submitit: Handler | None = None

    def listen(self) -> None:
        """Note the signals from now on, in place of dying; processes that load data leave them to us."""
        handlers = {number: signal.signal(number, self._note) for number in SIGNALS}
        before = handlers[signal.SIGUSR2]
        self._submitit = before if callable(before) and "SUBMITIT_EXECUTOR" in os.environ else None
        os.register_at_fork(after_in_child=_leave_signals_to_parent)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number
        logger.warning(f"{signal.Signals(number).name}: saving and leaving after this update")

    def hand_on(self, processes: Iterable[int | None]) -> None:
        """Send what this process is sent on to the ranks that it started."""
        ranks = [process for process in processes if process]

        def send(number: int, frame: FrameType | None) -> None:
            for rank in ranks:
                os.kill(rank, number)

        for number in SIGNALS:
            signal.signal(number, send)

    def votes(self) -> list[int]:
        """For each of ``SIGNALS``, 1 if this rank was sent it; to be summed over ranks."""
        return [int(self.signal == number) for number in SIGNALS]

    def count(self, votes: Sequence[float]) -> None:
        """Note the sums of all ranks' votes."""
        self._agreed = max((int(number) for number, sent in zip(SIGNALS, votes, strict=True) if sent), default=0)

    def agreed(self, trainer: Any) -> int:
        """The signal that any rank was sent before the last votes were counted, or 0: the same answer on all ranks."""
        return self.signal if trainer.data_parallel_world_size == 1 else self._agreed

    def leave(self, number: int, trainer: Any) -> None:
        """Queue the job again and end this process with the status that a shell gives for the signal.

        Raises:
            SystemExit: always, unless submitit reports that the job timed out too often.
        """
        try:
            if trainer.data_parallel_rank == 0:
                requeue(number, self._submitit)
        finally:
            if trainer.data_parallel_world_size > 1:
                torch.distributed.barrier()  # srun -K would end rank 0 with the first of us
        raise SystemExit(128 + number)


STOP = Stop()


def _leave_signals_to_parent() -> None:
    """In a process that loads data: Slurm signals it too, but only its parent may end it, lest the update fail."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=_heed_parent, args=(os.getppid(),), daemon=True).start()


def _heed_parent(parent: int) -> None:
    while True:
        sent = signal.sigwaitinfo(SIGNALS)
        if sent.si_signo == signal.SIGTERM and sent.si_pid == parent:
            os._exit(0)


def stopping_validate_and_save(validate_and_save: Callable[..., Any]) -> Callable[..., Any]:
    """fairseq's ``validate_and_save``, which follows each update, but with a look at whether to stop."""

    def check_and_go_on(cfg: Any, trainer: Any, task: Any, epoch_itr: Any, *args: Any) -> Any:
        finished = trainer.get_num_updates() >= (cfg.optimization.max_update or float("inf"))
        if number := 0 if finished else STOP.agreed(trainer):
            _save_and_leave(number, cfg, trainer, epoch_itr)
        fairseq_valid_step = trainer.valid_step

        def valid_step(*step_args: Any, **step_options: Any) -> Any:
            if not finished and STOP.agreed(trainer):
                raise StopError
            return fairseq_valid_step(*step_args, **step_options)

        trainer.valid_step = valid_step
        try:
            return validate_and_save(cfg, trainer, task, epoch_itr, *args)
        except StopError:
            return _save_and_leave(STOP.agreed(trainer), cfg, trainer, epoch_itr)
        finally:
            trainer.valid_step = fairseq_valid_step

    return check_and_go_on


def _save_and_leave(number: int, cfg: Any, trainer: Any, epoch_itr: Any) -> None:
    from fairseq import checkpoint_utils

    logger.warning(f"{signal.Signals(number).name}: saving update {trainer.get_num_updates()} and leaving")
    checkpoint_utils.save_checkpoint(cfg.checkpoint, trainer, epoch_itr, None)
    STOP.leave(number, trainer)
