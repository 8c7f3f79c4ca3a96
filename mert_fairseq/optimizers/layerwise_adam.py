"""Adam whose learning rate differs by parameter, under one schedule."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fairseq.optim import FairseqOptimizer, register_optimizer
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig
from torch import nn


@dataclass
class LayerwiseAdamConfig(FairseqAdamConfig):
    """The options of fairseq's ``adam``."""


def learns_at(parameters: Iterable[nn.Parameter], scale: float) -> None:
    """Let parameters learn at ``scale`` times the scheduled rate.

    The mark is fairseq's own, for its composite optimiser; the float32 copies of half-precision training inherit it.
    """
    for parameter in parameters:
        parameter.optim_overrides = {"optimizer": {"lr_scale": scale}}  # type: ignore[attr-defined]


def scale_of(parameter: nn.Parameter) -> float:
    """The parameter's share of the scheduled rate, 1 if nothing was said."""
    return getattr(parameter, "optim_overrides", {}).get("optimizer", {}).get("lr_scale", 1.0)


def check_rates(parameters: Iterable[nn.Parameter], optimizer: FairseqOptimizer) -> None:
    """Refuse an optimiser that would pass over the parameters' scales in silence.

    Raises:
        ValueError: if a parameter that learns has a scale, and the optimiser's groups have none.
    """
    scales = {scale_of(parameter) for parameter in parameters if parameter.requires_grad}
    if scales - {1.0} and not all("lr_scale" in group for group in optimizer.param_groups):
        raise ValueError(
            f"optimizer: {type(optimizer).__name__} gives all parameters one learning rate, but the model's layers "
            f"have their own, {min(scales):g} to {max(scales):g} of the head's. Set optimizer._name: layerwise_adam, "
            f"or model.encoder_lr_scale: 1 and model.layer_lr_decay: 1."
        )


@register_optimizer("layerwise_adam", dataclass=LayerwiseAdamConfig)
class LayerwiseAdam(FairseqAdam):
    """fairseq's Adam, one group of parameters a scale; schedules and logs speak of the rate at scale 1."""

    def __init__(self, cfg: LayerwiseAdamConfig, params: Iterable[nn.Parameter]) -> None:
        groups: dict[float, list[nn.Parameter]] = defaultdict(list)
        for parameter in params:
            groups[scale_of(parameter)].append(parameter)
        super().__init__(cfg, [{"params": groups[scale], "lr_scale": scale} for scale in sorted(groups)])
        self.set_lr(self.optimizer_config["lr"])

    @property
    def supports_flat_params(self) -> bool:
        """No: in one flat tensor no parameter has a rate of its own. fairseq then asks for fp16_no_flatten_grads."""
        return False

    def get_lr(self) -> float:
        """The scheduled rate."""
        return self._lr

    def set_lr(self, lr: float) -> None:
        """Follow the schedule: each group at its scale."""
        self._lr = lr
        for group in self.param_groups:
            group["lr"] = lr * group["lr_scale"]

    def load_state_dict(self, state_dict: dict[str, Any], optimizer_overrides: dict[str, Any] | None = None) -> None:
        """Load what a checkpoint holds, but keep this run's scales and rate.

        Raises:
            ValueError: if the checkpoint's parameters are grouped otherwise.
        """
        scales = [group["lr_scale"] for group in self.param_groups]
        super().load_state_dict(state_dict, optimizer_overrides)
        for group, scale in zip(self.param_groups, scales, strict=True):
            group["lr_scale"] = scale
        self.set_lr((optimizer_overrides or {}).get("lr", self._lr))
