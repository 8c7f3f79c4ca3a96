"""The ranks of a training: who they are, how they start, meet, stop and are queued again.

Importing ``mert_fairseq`` replaces fairseq's ``distributed.utils.call_main`` by ``launch.call_main``.
``fairseq_patches`` lists what else is replaced while a rank trains.
"""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)
