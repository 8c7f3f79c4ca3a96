"""Adam with a learning-rate scale per parameter, under one schedule."""

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


def set_lr_scale(parameters: Iterable[nn.Parameter], scale: float) -> None:
    """Set the learning rate of parameters to ``scale`` times the scheduled rate.

    The scale is stored in an attribute of fairseq's composite optimizer, which float32 master weights inherit.
    """
    for parameter in parameters:
        parameter.optim_overrides = {"optimizer": {"lr_scale": scale}}  # type: ignore[attr-defined]


def lr_scale(parameter: nn.Parameter) -> float:
    """The parameter's learning rate relative to the scheduled one; 1 by default."""
    return getattr(parameter, "optim_overrides", {}).get("optimizer", {}).get("lr_scale", 1.0)


def check_lr_scales(parameters: Iterable[nn.Parameter], optimizer: FairseqOptimizer) -> None:
    """Check that the optimizer supports the parameters' learning-rate scales.

    Raises:
        ValueError: if a trainable parameter has a scale, and the optimizer's groups have none.
    """
    scales = {lr_scale(parameter) for parameter in parameters if parameter.requires_grad}
    if scales - {1.0} and not all("lr_scale" in group for group in optimizer.param_groups):
        raise ValueError(
            f"optimizer: {type(optimizer).__name__} has one learning rate for all parameters, but the model's layers "
            f"have {min(scales):g} to {max(scales):g} times the head's. Set optimizer._name: layerwise_adam, or "
            f"model.encoder_lr_scale: 1 and model.layer_lr_decay: 1."
        )


@register_optimizer("layerwise_adam", dataclass=LayerwiseAdamConfig)
class LayerwiseAdam(FairseqAdam):
    """fairseq's Adam with one parameter group per scale. Schedules and logs use the rate of scale 1."""

    def __init__(self, cfg: LayerwiseAdamConfig, params: Iterable[nn.Parameter]) -> None:
        groups: dict[float, list[nn.Parameter]] = defaultdict(list)
        for parameter in params:
            groups[lr_scale(parameter)].append(parameter)
        super().__init__(cfg, [{"params": groups[scale], "lr_scale": scale} for scale in sorted(groups)])
        self.set_lr(self.optimizer_config["lr"])

    @property
    def supports_flat_params(self) -> bool:
        """No: one flat tensor can have only one rate. fairseq then requires fp16_no_flatten_grads."""
        return False

    def get_lr(self) -> float:
        """The scheduled rate, that of scale 1."""
        return self._lr

    def set_lr(self, lr: float) -> None:
        """Set the scheduled rate; each group gets its multiple."""
        self._lr = lr
        for group in self.param_groups:
            group["lr"] = lr * group["lr_scale"]

    def load_state_dict(self, state_dict: dict[str, Any], optimizer_overrides: dict[str, Any] | None = None) -> None:
        """Load a checkpoint's state, but keep this run's scales and rate.

        Raises:
            ValueError: if the checkpoint has other parameter groups.
        """
        scales = [group["lr_scale"] for group in self.param_groups]
        super().load_state_dict(state_dict, optimizer_overrides)
        for group, scale in zip(self.param_groups, scales, strict=True):
            group["lr_scale"] = scale
        self.set_lr((optimizer_overrides or {}).get("lr", self._lr))
