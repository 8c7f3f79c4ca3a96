"""Building blocks of the models."""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)
