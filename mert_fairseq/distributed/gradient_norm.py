"""The norm of the gradients: read once per update and compared over ranks; errors name the terms that are not finite.

fairseq's trainer clips gradients by their norm. If the norm is not finite, it skips the update (fp16, amp) or ends the
run (bf16, float32). Here a loss that is not finite makes the norm NaN, so that no other check of the loss is needed.
``REPLACED`` lists the trainer's methods that are replaced.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from fairseq.optim.fp16_optimizer import FP16Optimizer
from fairseq.trainer import Trainer
from torch import Tensor

fairseq_train_step = Trainer.train_step
fairseq_clip_grad_norm = Trainer.clip_grad_norm


def train_step(self: Trainer, samples: list[Any], raise_oom: bool = False) -> Any:
    """fairseq's ``train_step``. Keeps the criterion's logs of each micro-batch until the gradients are checked."""
    self.recent_logs = []
    hook = self.get_criterion().register_forward_hook(lambda _, __, result: self.recent_logs.append(result[2]))
    try:
        return fairseq_train_step(self, samples, raise_oom)
    finally:
        hook.remove()


def clip_grad_norm(self: Trainer, clip_norm: float) -> Tensor:
    """Clip the gradients and return their norm, float32 on the CPU, the same on all ranks.

    Raises:
        FloatingPointError: on all ranks together; names the terms of the loss that are not finite. In fp16 only if the
            loss scale has reached its minimum.
    """
    if self.is_fsdp:
        return fairseq_clip_grad_norm(self, clip_norm)
    read = partial(_read, self)
    if isinstance(self.optimizer, FP16Optimizer):  # it uses the norm several times, so it gets the copy on the CPU
        try:
            norm = self.optimizer.clip_grad_norm(clip_norm, aggregate_norm_fn=read).cpu()
        except FloatingPointError as error:
            raise FloatingPointError(f"{error} {_describe(self)}") from error
    else:
        norm = read(self.optimizer.clip_grad_norm(clip_norm))
    if not math.isfinite(norm) and not self.cfg.common.amp:
        raise FloatingPointError(_describe(self))
    return norm


def check_grad_norms(self: Trainer, grad_norm: Tensor) -> None:
    """Do nothing: ranks are compared where the norm is read."""


def _read(trainer: Trainer, norm: Tensor) -> Tensor:
    """The norm on the CPU, NaN if any rank's loss or norm is not finite.

    Raises:
        RuntimeError: if ranks have different gradients.
    """
    for log in trainer.recent_logs:
        if torch.is_tensor(loss := log.get("loss")):
            norm = norm + 0 * loss.to(norm)
    ranks = trainer.data_parallel_world_size
    if ranks == 1 or trainer.cfg.optimization.use_bmuf or trainer.cfg.distributed_training.ddp_backend == "slowmo":
        return norm.cpu()  # the only wait for the device in this update
    norms = norm.new_zeros(ranks, dtype=torch.float64)
    norms[trainer.data_parallel_rank] = norm
    torch.distributed.all_reduce(norms, group=trainer.data_parallel_process_group)
    norms = norms.cpu()
    if not torch.isfinite(norms).all():
        return torch.tensor(math.nan)
    if ((norms - norms[0]).abs() > 1e-6 * (norms[0] + 1e-6)).any():
        raise RuntimeError(
            f"the ranks have different gradients at update {trainer.get_num_updates()}: their norms are "
            f"{norms.tolist()}. Set distributed_training.ddp_backend=legacy_ddp, and check that all ranks run on GPUs "
            f"of the same model."
        )
    return norms[trainer.data_parallel_rank].float()


def _describe(trainer: Trainer) -> str:
    """Describe the terms of the last update's loss that are not finite, by rank; all ranks must call it."""
    by_rank = [_terms_not_finite(trainer.recent_logs)]
    if trainer.data_parallel_world_size > 1:
        by_rank = by_rank * trainer.data_parallel_world_size
        torch.distributed.all_gather_object(by_rank, by_rank[0], group=trainer.data_parallel_process_group)
    bad = {f"rank {rank}": terms for rank, terms in enumerate(by_rank) if terms}
    update = trainer.get_num_updates()
    if bad:
        found = str(bad["rank 0"] if len(by_rank) == 1 else bad)
        found = f"the loss is not finite at update {update}: {found}."
    else:
        found = f"the gradients are not finite at update {update}, although all terms of the loss are."
    return (
        f"{found} With common.fp16, train in bf16 (common.bf16); else lower the learning rate or "
        f"optimization.clip_norm, and check the audio for NaN (mert-check-data)."
    )


def _terms_not_finite(logs: list[dict[str, Any]]) -> dict[str, float]:
    """The logged terms of the loss that are not finite; their sum if all terms are."""
    values = [(name, float(value)) for log in logs for name, value in log.items() if name.startswith("loss")]
    bad = {name: value for name, value in values if not math.isfinite(value)}
    return {name: value for name, value in bad.items() if name != "loss"} or bad


REPLACED: list[tuple[type, str, Callable[..., Any]]] = [
    (Trainer, "train_step", train_step),
    (Trainer, "clip_grad_norm", clip_grad_norm),
    (Trainer, "_check_grad_norms", check_grad_norms),
]
