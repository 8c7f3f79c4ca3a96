"""The process group of the ranks: how they meet, how long one waits for another, and what it says when it was left."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from fairseq.distributed import utils as fairseq_distributed

from mert_fairseq.distributed.rank_layout import Layout, LayoutError

TIMEOUT_SECONDS = 600.0  # torch's for NCCL; for gloo it would be half an hour
LEFT_ALONE = re.compile(r"Timed out waiting|Connection closed by peer|Connection reset by peer|Broken pipe")


class LostRankError(RuntimeError):
    """Another rank is gone, or did not answer in time."""


def meet(layout: Layout, rank: int, backend: str, timeout_seconds: float) -> None:
    """Join the process group, and make the one that fairseq trains over, so that both have one longest wait.

    Args:
        layout: with more than one rank.
        rank: of this process.
        backend: nccl or gloo.
        timeout_seconds: the longest wait, here and in the training.

    Raises:
        LayoutError: if not all ranks came in time.
    """
    timeout = timedelta(seconds=timeout_seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.distributed.init_process_group(
                backend, init_method=layout.init_method, world_size=layout.world_size, rank=rank, timeout=timeout
            )
    except RuntimeError as error:  # torch's DistError and its kin
        raise LayoutError(
            f"rank {rank} of {layout.world_size} waited up to {timeout_seconds:g} s at {layout.init_method} and did "
            f"not meet the others ({error}). See which rank did not start, or raise "
            f"distributed_training.heartbeat_timeout."
        ) from error
    # fairseq would make this group itself, with torch's own timeout
    fairseq_distributed.get_global_group._global_group = torch.distributed.new_group(timeout=timeout)


@contextmanager
def naming_lost_ranks(rank: int, timeout_seconds: float) -> Iterator[None]:
    """Say in words what gloo reports when a rank is left alone; NCCL ends the process with words of its own.

    Raises:
        LostRankError: in place of gloo's error.
    """
    try:
        yield
    except RuntimeError as error:
        if not LEFT_ALONE.search(str(error)):
            raise
        raise LostRankError(
            f"rank {rank} was left alone: another rank is gone, or did not answer within {timeout_seconds:g} s "
            f"({error}). The log of that rank says why. Start the run again: it goes on from its last checkpoint. "
            f"Where ranks may be that slow, raise distributed_training.heartbeat_timeout."
        ) from error


def leave() -> None:
    """Wait for the others, then leave the group, so that none ends while another still needs it."""
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
