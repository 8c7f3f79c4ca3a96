"""The pretraining loss, registered with fairseq."""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)

from mert_fairseq.criterions.mert_criterion import MERTCriterion

__all__ = ["MERTCriterion"]
