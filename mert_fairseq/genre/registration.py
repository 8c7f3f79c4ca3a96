"""Registers the genre tasks, models and criterion with fairseq when imported."""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)

from mert_fairseq.genre import criterion  # noqa: F401
from mert_fairseq.genre.audio import model as audio_model  # noqa: F401
from mert_fairseq.genre.audio import task as audio_task  # noqa: F401
from mert_fairseq.genre.features import model as features_model  # noqa: F401
from mert_fairseq.genre.features import task as features_task  # noqa: F401
