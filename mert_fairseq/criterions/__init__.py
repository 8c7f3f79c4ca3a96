"""Training losses, registered with fairseq."""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)

from mert_fairseq.criterions.genre import GenreCrossEntropy
from mert_fairseq.criterions.mert import MERTCriterion

__all__ = ["GenreCrossEntropy", "MERTCriterion"]
