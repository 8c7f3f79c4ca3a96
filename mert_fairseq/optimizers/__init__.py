"""Optimizers, registered with fairseq."""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)

from mert_fairseq.optimizers.fused_adamw import FusedAdamW
from mert_fairseq.optimizers.layerwise_adam import LayerwiseAdam, check_lr_scales, set_lr_scale

__all__ = ["FusedAdamW", "LayerwiseAdam", "check_lr_scales", "set_lr_scale"]
