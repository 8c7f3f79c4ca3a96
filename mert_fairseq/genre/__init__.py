"""Genre classification: from FMA's feature table (``features/``) or from audio and a pretrained MERT (``audio/``)."""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)
