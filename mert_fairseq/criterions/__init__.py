"""Training losses, registered with fairseq."""

from mert_fairseq.criterions.mert import MERTCriterion

__all__ = ["MERTCriterion"]
