"""fairseq tasks."""

from mert_fairseq.tasks.mert_pretraining import MERTPretrainingTask

__all__ = ["MERTPretrainingTask"]
