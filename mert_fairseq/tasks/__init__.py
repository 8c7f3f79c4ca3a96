"""fairseq tasks."""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)

from mert_fairseq.tasks.fma_genre import FMAGenreTask
from mert_fairseq.tasks.genre_audio import GenreAudioTask
from mert_fairseq.tasks.mert_pretraining import MERTPretrainingTask

__all__ = ["FMAGenreTask", "GenreAudioTask", "MERTPretrainingTask"]
