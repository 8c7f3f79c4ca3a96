"""The parts that models are built from."""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)
