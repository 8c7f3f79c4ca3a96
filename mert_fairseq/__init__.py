"""MERT for fairseq: importing this package registers its task, model and criterion when fairseq is installed.

fairseq's ``--user-dir`` imports only the modules in tasks/ and models/, and nothing at all if the package is imported
already, so the three are imported here. The audio and label tools work without fairseq.
"""

import logging
from importlib.util import find_spec

__version__ = "0.1.0"

if find_spec("fairseq") is not None:
    # Some of fairseq's own tasks set the root logger to DEBUG when they are imported: put it back.
    _root = logging.getLogger()
    _level, _handlers = _root.level, list(_root.handlers)
    from mert_fairseq import criterions, models, optimizers, tasks  # noqa: F401

    _root.setLevel(_level)
    _root.handlers[:] = _handlers
