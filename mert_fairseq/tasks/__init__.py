"""The pretraining task, registered with fairseq."""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)

from mert_fairseq.tasks.mert_pretraining import MERTPretrainingTask

__all__ = ["MERTPretrainingTask"]
