"""Starts the ranks of a training. ``call_main`` replaces fairseq's ``distributed.utils.call_main``."""

import logging
import os
from collections.abc import Callable
from typing import Any

import torch
from fairseq.distributed import utils as fairseq_distributed
from omegaconf import DictConfig, open_dict

from mert_fairseq.checkpointing.saving import raise_if_unsaved
from mert_fairseq.distributed import fairseq_patches, process_group
from mert_fairseq.distributed.config_checks import add_hydra_names, check_ddp, check_user_dir, check_without_gpus
from mert_fairseq.distributed.cpu_memory import keep_freed_memory
from mert_fairseq.distributed.dashboards import check_dashboards
from mert_fairseq.distributed.rank_layout import LaunchOptions, RankLayout, find_layout
from mert_fairseq.distributed.stopping import STOP

logger = logging.getLogger(__name__)
fairseq_call_main = fairseq_distributed.call_main


def install() -> None:
    """Make fairseq's commands start their ranks here."""
    fairseq_distributed.call_main = call_main


def call_main(cfg: DictConfig, main: Callable[..., None], **kwargs: Any) -> None:
    """Find the layout, start its ranks or become one of them, and run ``main(cfg)`` in each.

    Raises:
        LayoutError: if the ranks cannot train together.
    """
    training = cfg.distributed_training
    if cfg.common.tpu or cfg.common.model_parallel_size > 1 or training.pipeline_model_parallel:
        fairseq_call_main(cfg, main, **kwargs)
        return
    check_user_dir(cfg.common.user_dir)
    check_dashboards(cfg)
    gpus = 0 if cfg.common.cpu else torch.cuda.device_count()
    layout = find_layout(_launch_options(cfg), os.environ, gpus)
    if gpus:
        check_ddp(cfg, layout.world_size)
    else:
        check_without_gpus(cfg, layout)
    if layout.local_ranks == 1:
        run_rank(0, layout, cfg, main, kwargs)
    else:
        _run_local_ranks(layout, cfg, main, kwargs)


def _launch_options(cfg: DictConfig) -> LaunchOptions:
    """Read the launch options. A world size equal to fairseq's default (the number of GPUs) counts as not set."""
    training = cfg.distributed_training
    default = max(1, torch.cuda.device_count())
    world_size = training.distributed_world_size if training.distributed_world_size != default else None
    if training.distributed_init_method:
        world_size = training.distributed_world_size
    return LaunchOptions(
        world_size,
        training.distributed_init_method,
        training.distributed_rank or 0,
        training.distributed_no_spawn,
        max(0, training.distributed_port),
    )


def _run_local_ranks(layout: RankLayout, cfg: DictConfig, main: Callable[..., None], kwargs: dict[str, Any]) -> None:
    """Start one process per rank on this machine, and forward stop signals to them."""
    context = torch.multiprocessing.start_processes(
        run_rank, (layout, cfg, main, kwargs), nprocs=layout.local_ranks, join=False, start_method="spawn"
    )
    STOP.forward_signals(context.pids())
    while not context.join():
        pass


def run_rank(
    index: int, layout: RankLayout, cfg: DictConfig, main: Callable[..., None], kwargs: dict[str, Any]
) -> None:
    """Run rank ``layout.rank + index``: join the process group, train, leave the group together."""
    on_gpu = torch.cuda.is_available() and not cfg.common.cpu
    rank, device = layout.rank + index, layout.device + index
    timeout_seconds = _write_layout(cfg, layout, rank, device, on_gpu)
    if on_gpu:
        torch.cuda.set_device(device)
    else:
        keep_freed_memory()
    if layout.world_size > 1:
        process_group.init(layout, rank, cfg.distributed_training.distributed_backend, timeout_seconds)
    logging.getLogger().setLevel(logging.INFO if rank == 0 else logging.WARNING)
    if layout.world_size == 1 and not on_gpu and not cfg.common.cpu:
        logger.warning("found no GPU: training on the CPU. Set common.cpu=true to confirm that this is intended")
    backend = cfg.distributed_training.distributed_backend
    logger.info(process_group.ranks_line(layout, backend, timeout_seconds, on_gpu))
    logger.info(batch_line(cfg))
    fairseq_patches.install()
    STOP.install_handlers()
    with process_group.explain_lost_ranks(rank, timeout_seconds), add_hydra_names():
        main(cfg, **kwargs)
        raise_if_unsaved()
        if layout.world_size > 1:
            process_group.destroy()


def _write_layout(cfg: DictConfig, layout: RankLayout, rank: int, device: int, on_gpu: bool) -> float:
    """Write the layout into fairseq's configuration; returns the timeout in seconds."""
    training = cfg.distributed_training
    timeout_seconds = training.heartbeat_timeout if training.heartbeat_timeout > 0 else process_group.TIMEOUT_SECONDS
    with open_dict(cfg):
        # The process group applies the timeout. fairseq's own watchdog would interrupt without a message.
        training.heartbeat_timeout = -1
        training.distributed_world_size, training.distributed_rank = layout.world_size, rank
        training.distributed_init_method, training.distributed_no_spawn = layout.init_method, True
        training.distributed_num_procs, training.device_id = 1, device
        if not on_gpu:
            training.distributed_backend, training.ddp_backend = "gloo", "legacy_ddp"  # the only ones for CPUs
    return timeout_seconds


def batch_line(cfg: DictConfig) -> str:
    """The log line with the largest batch of an update over all ranks, in seconds of audio if the rate is known."""
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
