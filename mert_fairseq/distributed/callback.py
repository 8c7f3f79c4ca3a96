"""The Hydra callback named in the recipes: it imports this package before fairseq starts the ranks.

fairseq imports ``common.user_dir`` only inside each rank, after it has counted GPUs. This file is small because recipes
hold its path.
"""

from hydra.experimental.callback import Callback

from mert_fairseq.distributed import launch


class StartRanks(Callback):
    """Makes ``mert_fairseq.distributed`` start the ranks of ``fairseq-hydra-train``."""

    def __init__(self) -> None:
        launch.install()
