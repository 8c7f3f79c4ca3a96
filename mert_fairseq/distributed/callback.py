"""The Hydra callback that the recipes name, so that this package is imported before fairseq starts the ranks.

fairseq imports ``common.user_dir`` only within each rank, when it has counted GPUs already.
"""

from hydra.experimental.callback import Callback

from mert_fairseq.distributed import launch


class StartRanks(Callback):
    """Lets ``mert_fairseq.distributed`` start the ranks of ``fairseq-hydra-train``."""

    def __init__(self) -> None:
        launch.install()
