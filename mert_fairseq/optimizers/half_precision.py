"""Patches for fairseq's half-precision optimizers: float32 weights in checkpoints, fewer kernels, a fix for amp.

fairseq trains in fp16 and bf16 with a float32 copy of all weights, the master weights. It does not save them, so a
resumed run starts from weights rounded to half precision. It also copies weights and gradients one tensor at a time.
``REPLACED`` lists the replaced methods.
"""

import logging
from collections.abc import Callable
from typing import Any

import torch
from fairseq.optim.amp_optimizer import AMPOptimizer
from fairseq.optim.fp16_optimizer import FP16Optimizer
from torch import Tensor

MASTERS, SCALER = "master_weights", "loss_scaler"
SCALER_COUNTS = ("_iter", "_last_overflow_iter", "_last_rescale_iter", "_overflows_since_rescale")
fairseq_state_dict = FP16Optimizer.state_dict
fairseq_load_state_dict = FP16Optimizer.load_state_dict
logger = logging.getLogger(__name__)


def state_dict(self: FP16Optimizer) -> dict[str, Any]:
    """fairseq's state, the master weights, and the counters that decide when the loss scale next increases."""
    state = {**fairseq_state_dict(self), MASTERS: [weights.detach() for weights in _masters(self)]}
    if self.scaler is not None:
        state[SCALER] = {name: getattr(self.scaler, name) for name in SCALER_COUNTS}
    return state


@torch.no_grad()
def load_state_dict(
    self: FP16Optimizer, state_dict: dict[str, Any], optimizer_overrides: dict[str, Any] | None = None
) -> None:
    """Load a ``state_dict``; without master weights (older checkpoints) as fairseq does.

    Raises:
        ValueError: if the checkpoint's master weights have other shapes, because it was saved with another precision.
    """
    state = dict(state_dict)
    saved, counts = state.pop(MASTERS, None), state.pop(SCALER, None)
    masters = _masters(self)
    if saved is not None:
        found, expected = ([tuple(weights.shape) for weights in some] for some in (saved, masters))
        if found != expected:
            raise ValueError(
                f"the checkpoint holds {len(found)} tensors of float32 master weights ({_first(found)}), this run has "
                f"{len(expected)} ({_first(expected)}). fp16 keeps them in one flat tensor, bf16 and "
                f"common.fp16_no_flatten_grads=true do not. Set common.fp16, common.bf16 and "
                f"common.fp16_no_flatten_grads as in the run that saved it, or checkpoint.reset_optimizer=true to "
                f"start with a new optimizer."
            )
    fairseq_load_state_dict(self, state, optimizer_overrides)
    if counts and self.scaler is not None:
        vars(self.scaler).update(counts)
    if saved is None:
        logger.warning(
            "the checkpoint holds no float32 master weights (it is from an older version): training continues from "
            "weights rounded to half precision"
        )
        return
    torch._foreach_copy_([weights.data for weights in masters], list(saved))
    self._sync_fp32_params_to_fp16()


def _first(shapes: list[tuple[int, ...]]) -> str:
    return f"the first {shapes[0]}" if shapes else "none"


def _masters(optimizer: FP16Optimizer) -> list[Tensor]:
    """The float32 weights: one flat tensor per device, or one tensor per parameter."""
    masters = optimizer.fp32_params
    return list(masters.values()) if isinstance(masters, dict) else list(masters)


def _pairs(optimizer: FP16Optimizer, part: Callable[[Tensor], Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Pairs of a half-precision parameter and its master's data or gradient; flat masters are split into views."""
    if not optimizer.has_flat_params:
        pairs = zip(optimizer.fp16_params, optimizer.fp32_params, strict=True)
        return [(half, part(master)) for half, master in pairs if half.requires_grad]
    found: list[tuple[Tensor, Tensor]] = []
    for device, flat in optimizer.fp32_params.items():
        halves = [half for half in optimizer.fp16_params if half.device.index == device]
        pieces = part(flat).split([half.numel() for half in halves])
        found += [(half, piece.view_as(half)) for half, piece in zip(halves, pieces, strict=True)]
    return found


def _data(master: Tensor) -> Tensor:
    return master.data


def _grad(master: Tensor) -> Tensor:
    if master.grad is None:
        master.grad = torch.zeros_like(master)
    return master.grad


def sync_gradients(self: FP16Optimizer) -> None:
    """Copy the half-precision gradients to the masters (fairseq's ``_sync_fp16_grads_to_fp32``)."""
    if not self._needs_sync:
        return
    pairs = _pairs(self, _grad)
    if unused := [grad for half, grad in pairs if half.grad is None]:
        torch._foreach_zero_(unused)
    used = [(half.grad, grad) for half, grad in pairs if half.grad is not None]
    if used:
        torch._foreach_copy_([grad for _, grad in used], [half for half, _ in used])
    self._needs_sync = False


def sync_weights(self: FP16Optimizer) -> None:
    """Copy the masters to the half-precision weights (fairseq's ``_sync_fp32_params_to_fp16``)."""
    pairs = _pairs(self, _data)
    torch._foreach_copy_([half.data for half, _ in pairs], [master for _, master in pairs])


def zero_grad(self: FP16Optimizer) -> None:
    """Clear all gradients and set the gradient factor from the current loss scale."""
    for parameter in self.fp16_params:
        parameter.grad = None
    torch._foreach_zero_([_grad(master) for master in _masters(self)])
    self._needs_sync = False
    self._multiply_factor = 1.0 / float(self.scaler.loss_scale) if self.scaler is not None else 1.0


def amp_step(self: AMPOptimizer) -> None:
    """Update with gradients that are divided by the loss scale once.

    fairseq divides them when it clips. Then it passes another object to torch's scaler, which divides them again.
    """
    self.scaler.step(self.optimizer)
    self.scaler.update()


REPLACED: list[tuple[type, str, Callable[..., Any]]] = [
    (FP16Optimizer, "state_dict", state_dict),
    (FP16Optimizer, "load_state_dict", load_state_dict),
    (FP16Optimizer, "_sync_fp16_grads_to_fp32", sync_gradients),
    (FP16Optimizer, "_sync_fp32_params_to_fp16", sync_weights),
    (FP16Optimizer, "zero_grad", zero_grad),
    (AMPOptimizer, "step", amp_step),
]
