"""torch's fused AdamW as a fairseq optimizer."""

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer, register_optimizer
from omegaconf import II
from torch import Tensor, nn

from mert_fairseq.options import option

SHARED_WITH_ADAM = ("lr", "betas", "eps", "weight_decay", "amsgrad", "params")


@dataclass
class FusedAdamWConfig(FairseqDataclass):
    """The options of fairseq's ``adam`` that apply here, with the same names."""

    adam_betas: Any = option((0.9, 0.999), "decay of the first and second moment per update")
    adam_eps: float = option(1e-8, "added to the root of the bias-corrected second moment")
    weight_decay: float = option(0.0, "decoupled: an update subtracts learning rate x weight_decay x weight")
    lr: list[float] = II("optimization.lr")


@register_optimizer("fused_adamw", dataclass=FusedAdamWConfig)
class FusedAdamW(FairseqOptimizer):
    """``torch.optim.AdamW(fused=True)``: all parameters in a few kernels instead of a dozen per parameter.

    It differs from fairseq's ``adam`` in one place. At update t, torch divides by sqrt(v / (1 - beta2^t)) + eps,
    fairseq by (sqrt(v) + eps) / sqrt(1 - beta2^t). fairseq's epsilon is larger by 1 / sqrt(1 - beta2^t): with
    beta2 = 0.98 by a factor of 7 at the first update, by 1 % after 200 updates. Everything else is equal to rounding.

    Its state is saved in the format of fairseq's ``adam``: a run may continue with either optimizer.
    """

    def __init__(self, cfg: FusedAdamWConfig, params: Iterable[nn.Parameter]) -> None:
        super().__init__(cfg)
        self._optimizer = torch.optim.AdamW(params, fused=True, **self.optimizer_config)

    @property
    def optimizer_config(self) -> dict[str, Any]:
        """The values of this run's options; they override those of a checkpoint."""
        lr = self.cfg.lr[0] if isinstance(self.cfg.lr, Sequence) else self.cfg.lr
        return {
            "lr": lr,
            "betas": parse_betas(self.cfg.adam_betas),
            "eps": self.cfg.adam_eps,
            "weight_decay": self.cfg.weight_decay,
        }

    @property
    def supports_flat_params(self) -> bool:
        """Yes: updates are elementwise, so one flat tensor has the same result."""
        return True

    def clip_grad_norm(self, max_norm: float, aggregate_norm_fn: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Clip the gradients in a few kernels and return the norm before clipping, float32.

        Args:
            max_norm: gradients with a larger norm are scaled down to it; 0 for no clipping.
            aggregate_norm_fn: maps this process's norm to the global norm, which is used for clipping and returned.
        """
        grads = [parameter.grad for parameter in self.params if parameter.grad is not None]
        if not grads:
            return torch.zeros(())
        norm = torch.stack(torch._foreach_norm(grads, 2, dtype=torch.float32)).norm()
        if aggregate_norm_fn is not None:
            norm = aggregate_norm_fn(norm)
        if max_norm > 0:
            self.multiply_grads((max_norm / (norm + 1e-6)).clamp_(max=1))
        return norm

    def state_dict(self) -> dict[str, Any]:
        """The state in the format of fairseq's ``adam``, where the update count is an integer."""
        state = self.optimizer.state_dict()
        steps = [entry["step"] for entry in state["state"].values()]
        counts = torch.stack(steps).tolist() if steps else []  # reads from the device once
        entries = zip(state["state"].items(), counts, strict=True)
        return {
            "state": {key: {**entry, "step": int(count)} for (key, entry), count in entries},
            "param_groups": [{name: group[name] for name in SHARED_WITH_ADAM} for group in state["param_groups"]],
        }

    def load_state_dict(self, state_dict: dict[str, Any], optimizer_overrides: dict[str, Any] | None = None) -> None:
        """Load the state of this optimizer or of fairseq's ``adam``."""
        groups = [{**self.optimizer.defaults, **group, "fused": True} for group in state_dict["param_groups"]]
        super().load_state_dict({"state": state_dict["state"], "param_groups": groups}, optimizer_overrides)


def parse_betas(betas: str | Sequence[float]) -> tuple[float, float]:
    """Parse ``"(0.9, 0.98)"`` or a pair of numbers.

    Raises:
        ValueError: if it is anything else.
    """
    try:
        values = ast.literal_eval(betas) if isinstance(betas, str) else betas
        first, second = (float(value) for value in values)
    except (SyntaxError, TypeError, ValueError) as error:
        raise ValueError(
            f"optimizer.adam_betas is {betas!r}, expected two numbers in [0, 1) such as '(0.9, 0.98)'."
        ) from error
    return first, second
