"""The pretraining model, registered with fairseq."""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)

from mert_fairseq.checkpointing import safe_loading

safe_loading.allow_safe_types()

from mert_fairseq.models.mert import MERTModel  # noqa: E402

__all__ = ["MERTModel"]
