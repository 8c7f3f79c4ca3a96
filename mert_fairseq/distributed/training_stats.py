"""Logged values of updates: summed over ranks in one collective, read from the device once per logging interval.

fairseq reads every logged value in every update, and each read waits for the device. Here the values of an update stay
on the device until fairseq prints (``common.log_interval``), validates, ends an epoch or saves a checkpoint. Then all
are read at once and added to fairseq's meters, one update after the other, as in fairseq. The first update is read
immediately, because fairseq starts its timers there. ``REPLACED`` lists the trainer's methods that are replaced.
"""

import logging
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from fairseq.distributed import utils as fairseq_distributed
from fairseq.logging import metrics
from fairseq.trainer import Trainer
from torch import Tensor

from mert_fairseq.distributed.stopping import STOP

fairseq_aggregate = Trainer._aggregate_logging_outputs
fairseq_sum = Trainer._fast_stat_sync_sum
fairseq_log_stats = Trainer._reduce_and_log_stats
Logs = list[dict[str, Any]]
logger = logging.getLogger(__name__)


class Unread(NamedTuple):
    """An update whose logged values are still on the device."""

    logs: Logs
    sample_size: float
    grad_norm: Tensor


def aggregate(self: Trainer, logging_outputs: Logs, *extra: Any, ignore: bool = False) -> tuple[Logs, list[float]]:
    """Sum logs and extra numbers over ranks, together with the stop signals of all ranks.

    Returns:
        The summed logs, whose tensors stay on the device, and the summed extra numbers.
    """
    logs, sums = fairseq_aggregate(self, logging_outputs, *extra, *STOP.flags(), ignore=ignore)
    sums = [float(value) for value in sums]
    STOP.set_summed_flags(sums[len(extra) :])
    return logs, sums[: len(extra)]


def sum_over_ranks(self: Trainer, logging_outputs: Logs, *extra: Any, ignore: bool = False) -> tuple[Logs, list[Any]]:
    """fairseq's ``_fast_stat_sync_sum`` with one collective. Only the numbers that are needed immediately are read.

    Every rank logs the same names in the same order, each as a scalar on the device or as a number.
    """
    first = logging_outputs[0] if logging_outputs else {}
    tensors = {name: value for name, value in first.items() if torch.is_tensor(value)}
    if any(value.dim() for value in tensors.values()):
        return fairseq_sum(self, logging_outputs, *extra, ignore=ignore)
    on_device = [name for name, value in tensors.items() if value.device.type == self.device.type]
    numbers = [name for name in first if name not in on_device]
    host = [float(value) for value in extra]
    host += [0.0 if ignore else float(sum(log[name] for log in logging_outputs)) for name in numbers]
    parts = [torch.tensor(host, dtype=torch.float64).to(self.device)]
    if on_device:
        vectors = [torch.stack([log[name].double() for name in on_device]) for log in logging_outputs]
        vector = torch.stack(vectors).sum(0)
        parts.append(torch.zeros_like(vector) if ignore else vector)
    buffer = torch.cat(parts)
    fairseq_distributed.all_reduce(buffer, group=self.data_parallel_process_group)
    sums = buffer[: len(host)].tolist()
    log = dict(zip([*numbers, *on_device], [*sums[len(extra) :], *buffer[len(host) :].unbind()], strict=True))
    return ([{name: log[name] for name in first}] if first else []), sums[: len(extra)]


def log_stats(self: Trainer, logging_outputs: Logs, sample_size: Any, grad_norm: Tensor | None = None) -> Any:
    """fairseq's ``_reduce_and_log_stats``: immediate for validation; for training, when the values are printed.

    Returns:
        fairseq's log of a validation step. For a training step an empty dictionary, which tells fairseq that the update
        was made.
    """
    if grad_norm is None:
        return fairseq_log_stats(self, read_logs([logging_outputs])[0], sample_size)
    first_update = not hasattr(self, "unread")
    self.unread = [*getattr(self, "unread", []), Unread(logging_outputs, sample_size, grad_norm)]
    if first_update or self.get_num_updates() % self.cfg.common.log_interval == 0:
        flush(self)
    return {}


def flush(trainer: Trainer) -> None:
    """Read the logged values of the updates since the last call, and add them to fairseq's meters."""
    unread: list[Unread] = getattr(trainer, "unread", [])
    if not unread:
        return
    trainer.unread = []
    read = read_logs([update.logs for update in unread])
    with metrics.aggregate("train"), metrics.aggregate("train_inner"):
        for update, logs in zip(unread, read, strict=True):
            fairseq_log_stats(trainer, logs, update.sample_size, update.grad_norm)


def read_logs(updates: list[Logs]) -> list[Logs]:
    """Replace the scalar tensors of logs by numbers, all in one read."""
    scalars = [v for logs in updates for log in logs for v in log.values() if torch.is_tensor(v) and v.dim() == 0]
    numbers = iter(torch.stack([scalar.double() for scalar in scalars]).tolist() if scalars else [])

    def number(value: Any) -> Any:
        return next(numbers) if torch.is_tensor(value) and value.dim() == 0 else value

    return [[{name: number(value) for name, value in log.items()} for log in logs] for logs in updates]


def flush_before_save(save: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps fairseq's ``save_checkpoint``, which also saves the meters: reads all pending values first."""

    def save_checkpoint(cfg: Any, trainer: Trainer, *args: Any) -> Any:
        flush(trainer)
        return save(cfg, trainer, *args)

    return save_checkpoint


def flush_after_epoch(validate_and_save: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps fairseq's ``validate_and_save``: reads all values at the end of an epoch, before fairseq prints means."""

    def validate_save_and_flush(
        cfg: Any, trainer: Trainer, task: Any, epoch_itr: Any, subsets: list[str], end_of_epoch: bool
    ) -> Any:
        losses, should_stop = validate_and_save(cfg, trainer, task, epoch_itr, subsets, end_of_epoch)
        if end_of_epoch or should_stop:
            flush(trainer)
        return losses, should_stop

    return validate_save_and_flush


def flush_before_validation(validate: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps fairseq's ``validate``: tasks may read the training means of the epoch in ``post_validate``."""

    def flush_and_validate(cfg: Any, trainer: Trainer, *args: Any) -> Any:
        flush(trainer)
        return validate(cfg, trainer, *args)

    return flush_and_validate


def ignore_nonfinite_losses(validate: Callable[..., list[float | None]]) -> Callable[..., list[float | None]]:
    """Wraps fairseq's ``validate``: a loss that is not finite counts as missing, so it is never the best."""

    def validate_finite(cfg: Any, trainer: Trainer, *args: Any) -> list[float | None]:
        losses = validate(cfg, trainer, *args)
        bad = [loss for loss in losses if loss is not None and not math.isfinite(loss)]
        if bad:
            logger.warning(
                f"the validation loss at update {trainer.get_num_updates()} is {bad[0]}: training continues. The "
                f"best checkpoint and checkpoint.patience ignore this validation"
            )
        return [loss if loss is not None and math.isfinite(loss) else None for loss in losses]

    return validate_finite


REPLACED: list[tuple[type, str, Callable[..., Any]]] = [
    (Trainer, "_aggregate_logging_outputs", aggregate),
    (Trainer, "_fast_stat_sync_sum", sum_over_ranks),
    (Trainer, "_reduce_and_log_stats", log_stats),
]
