"""The pretraining task: fairseq finds it here under the name ``mert_pretraining``."""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)

from mert_fairseq.tasks.mert_pretraining import MERTPretrainingTask

__all__ = ["MERTPretrainingTask"]
