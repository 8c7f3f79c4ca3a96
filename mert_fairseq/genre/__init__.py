"""Genre classification: from FMA's feature table (``features/``) or from audio and a pretrained MERT (``audio/``)."""

import warnings

from mert_fairseq.jobs.command import ignore_warnings

with warnings.catch_warnings():
    ignore_warnings()
    import fairseq  # noqa: F401  (before all other modules of genre: see tests/test_registration.py)
