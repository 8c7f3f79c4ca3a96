"""Data sets: clips and their labels, feature tables."""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)
