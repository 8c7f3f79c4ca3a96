"""Training losses, registered with fairseq."""

from mert_fairseq.criterions.genre import GenreCrossEntropy
from mert_fairseq.criterions.mert import MERTCriterion

__all__ = ["GenreCrossEntropy", "MERTCriterion"]
