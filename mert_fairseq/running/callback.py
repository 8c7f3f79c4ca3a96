"""Old path of the Hydra callback that starts the ranks."""

from mert_fairseq.distributed.callback import StartRanks

__all__ = ["StartRanks"]
