"""fairseq models."""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)

from mert_fairseq.models import checkpoint

checkpoint.allow_safe_types()

from mert_fairseq.models.fma_transformer import FMAFeatureTransformer  # noqa: E402
from mert_fairseq.models.mert import MERTModel  # noqa: E402
from mert_fairseq.models.mert_genre import MERTGenreModel  # noqa: E402

__all__ = ["FMAFeatureTransformer", "MERTGenreModel", "MERTModel"]
