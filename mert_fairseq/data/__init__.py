"""The pretraining data set: clips and their labels, sampling, batches and their order."""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)
