"""The ranks of a training: layout, launch, process group, stopping and requeue.

Importing ``mert_fairseq`` replaces fairseq's ``distributed.utils.call_main`` by ``launch.call_main``.
``fairseq_patches`` lists all other replacements in a training rank.
"""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)
