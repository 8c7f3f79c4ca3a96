"""Running a training: which ranks there are, checkpoints that survive, and stopping when asked to.

Importing ``mert_fairseq`` puts ``launch.call_main`` in the place of fairseq's function of that name. ``hooks`` lists
what else is replaced while a rank trains.
"""

import fairseq  # noqa: F401  (first: see tests/test_registration.py)
