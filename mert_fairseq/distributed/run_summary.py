"""What a run got: its ranks, hosts and devices, and how much it takes an update."""

import platform
import socket
from itertools import groupby

import torch
from omegaconf import DictConfig

from mert_fairseq.distributed.rank_layout import Layout


def ranks_line(layout: Layout, backend: str, timeout_seconds: float, on_gpu: bool) -> str:
    """All ranks with their hosts and devices; every rank of a group has to call it.

    Args:
        layout: of this process.
        backend: of the process group.
        timeout_seconds: the longest that a rank waits for another.
        on_gpu: whether ranks train on GPUs.
    """
    device = torch.cuda.get_device_name() if on_gpu else f"CPU {platform.machine()}"
    mine = (socket.gethostname(), device)
    everyone = [mine]
    if layout.world_size > 1:
        everyone = [mine] * layout.world_size
        torch.distributed.all_gather_object(everyone, mine)
    ranks = list(range(len(everyone)))
    hosts = []
    for (host, name), group in groupby(ranks, key=lambda rank: everyone[rank]):
        numbers = list(group)
        span = f"rank {numbers[0]}" if len(numbers) == 1 else f"ranks {numbers[0]} to {numbers[-1]}"
        hosts.append(f"{span} on {host} ({name})")
    line = f"{len(everyone)} rank(s), started by {layout.launcher}: {'; '.join(hosts)}"
    if layout.world_size > 1:
        line += f"; {backend} at {layout.init_method}; none waits longer than {timeout_seconds:g} s for another"
    return line


def batch_line(cfg: DictConfig) -> str:
    """The largest batch of an update over all ranks, in seconds of audio where the task has a sample rate."""
    ranks = cfg.distributed_training.distributed_world_size
    steps = max(cfg.optimization.update_freq)
    counts = f"{ranks} rank(s) x {steps} step(s)"
    rate = cfg.task.get("sample_rate")
    samples = cfg.dataset.max_tokens
    if rate and samples:
        seconds = ranks * steps * samples / rate
        return f"an update takes at most {counts} x {samples} samples = {seconds:.1f} s of audio"
    if samples:
        return f"an update takes at most {counts} x {samples} tokens = {ranks * steps * samples}"
    clips = cfg.dataset.batch_size
    return f"an update takes at most {counts} x {clips} clips = {ranks * steps * (clips or 0)}"
