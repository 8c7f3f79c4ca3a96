"""Checkpoints: complete on disk, loaded without trusting pickle, and found again after a crash."""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)
