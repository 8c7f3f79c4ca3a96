"""Optimisers, registered with fairseq."""

import fairseq  # noqa: F401  (first: registration happens at the end of its import)

from mert_fairseq.optimizers.layerwise_adam import LayerwiseAdam, check_rates, learns_at

__all__ = ["LayerwiseAdam", "check_rates", "learns_at"]
