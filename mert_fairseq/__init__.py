"""MERT for fairseq: once both packages are imported, in whatever order, its task, model and criterion are registered.

fairseq's ``--user-dir`` imports only the modules in tasks/ and models/, and nothing at all if the package is already
imported, so all registered modules are imported here: those of pretraining, and those of genre/. distributed/, which
starts the ranks of a training in place of fairseq, is installed here too. The audio and label tools import neither
fairseq nor its seconds of start-up; ``load_mert`` imports them when it is used.
"""

import logging
from types import ModuleType
from typing import TYPE_CHECKING, Any

from wrapt import register_post_import_hook

if TYPE_CHECKING:
    from mert_fairseq.extraction import load_mert as load_mert

__version__ = "0.1.0"


def _register(fairseq: ModuleType) -> None:
    # Some of fairseq's own tasks set the root logger to DEBUG when they are imported: put it back.
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    from mert_fairseq import criterions, models, optimizers, tasks  # noqa: F401
    from mert_fairseq.distributed import launch
    from mert_fairseq.genre import registration  # noqa: F401

    root.setLevel(level)
    root.handlers[:] = handlers
    launch.install()


def __getattr__(name: str) -> Any:
    if name == "load_mert":
        from mert_fairseq.extraction import load_mert

        return load_mert
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


register_post_import_hook(_register, "fairseq")
