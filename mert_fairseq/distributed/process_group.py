"""Process-group setup, timeouts, errors of lost peers, and the log line that lists all ranks."""

import platform
import re
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby

import torch
from fairseq.distributed import utils as fairseq_distributed

from mert_fairseq.distributed.rank_layout import LayoutError, RankLayout

TIMEOUT_SECONDS = 600.0  # torch's default for NCCL; its default for gloo is half an hour
LOST_PEER = re.compile(r"Timed out waiting|Connection closed by peer|Connection reset by peer|Broken pipe")


class LostRankError(RuntimeError):
    """Another rank has ended or did not respond in time."""


def init(layout: RankLayout, rank: int, backend: str, timeout_seconds: float) -> None:
    """Join the process group, and create the one that fairseq trains with, so that both have the same timeout.

    Args:
        layout: with more than one rank.
        rank: of this process.
        backend: nccl or gloo.
        timeout_seconds: the longest wait for another rank, at the start and during training.

    Raises:
        LayoutError: if some ranks did not connect in time.
    """
    timeout = timedelta(seconds=timeout_seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.distributed.init_process_group(
                backend, init_method=layout.init_method, world_size=layout.world_size, rank=rank, timeout=timeout
            )
    except RuntimeError as error:  # includes torch's DistError
        raise LayoutError(
            f"rank {rank} of {layout.world_size} waited up to {timeout_seconds:g} s at {layout.init_method} and could "
            f"not connect to the others ({error}). Check which rank did not start, or raise "
            f"distributed_training.heartbeat_timeout."
        ) from error
    # fairseq would create this group itself, with torch's default timeout.
    fairseq_distributed.get_global_group._global_group = torch.distributed.new_group(timeout=timeout)


def destroy() -> None:
    """Wait for the other ranks, then leave the group: no rank ends while another one still needs it."""
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@contextmanager
def explain_lost_ranks(rank: int, timeout_seconds: float) -> Iterator[None]:
    """Replace gloo's error about a lost rank by one with a remedy. NCCL ends the process with its own message.

    Raises:
        LostRankError: instead of gloo's error.
    """
    try:
        yield
    except RuntimeError as error:
        if not LOST_PEER.search(str(error)):
            raise
        raise LostRankError(
            f"rank {rank} lost another rank, which ended or did not respond within {timeout_seconds:g} s "
            f"({error}). The log of that rank says why. Start the run again: it continues from its last checkpoint. "
            f"If ranks can be that slow, raise distributed_training.heartbeat_timeout."
        ) from error


def ranks_line(layout: RankLayout, backend: str, timeout_seconds: float, on_gpu: bool) -> str:
    """The log line that lists all ranks with hosts and devices. Every rank of a group must call it.

    Args:
        layout: of this process.
        backend: of the process group.
        timeout_seconds: the longest wait for another rank.
        on_gpu: whether ranks train on GPUs.
    """
    device = torch.cuda.get_device_name() if on_gpu else f"CPU {platform.machine()}"
    own = (socket.gethostname(), device)
    gathered = [own]
    if layout.world_size > 1:
        gathered = [own] * layout.world_size
        torch.distributed.all_gather_object(gathered, own)
    hosts = []
    for (host, name), group in groupby(range(len(gathered)), key=lambda rank: gathered[rank]):
        numbers = list(group)
        span = f"rank {numbers[0]}" if len(numbers) == 1 else f"ranks {numbers[0]} to {numbers[-1]}"
        hosts.append(f"{span} on {host} ({name})")
    line = f"{len(gathered)} rank(s), started by {layout.launcher}: {'; '.join(hosts)}"
    if layout.world_size > 1:
        line += f"; {backend} at {layout.init_method}; timeout {timeout_seconds:g} s"
    return line
