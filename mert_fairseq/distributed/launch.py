"""Starts the ranks of a training, in the place of fairseq's ``distributed.utils.call_main``."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from fairseq.distributed import utils as fairseq_distributed
from omegaconf import DictConfig, open_dict

from mert_fairseq.checkpointing.saving import raise_if_unsaved
from mert_fairseq.distributed import fairseq_patches as hooks
from mert_fairseq.distributed import process_group as group
from mert_fairseq.distributed.ddp import check_ddp
from mert_fairseq.distributed.option_names import naming_hydra_options
from mert_fairseq.distributed.rank_layout import Layout, LayoutError, Wishes, find_layout
from mert_fairseq.distributed.run_summary import batch_line, ranks_line
from mert_fairseq.distributed.stopping import STOP

logger = logging.getLogger(__name__)
fairseq_call_main = fairseq_distributed.call_main


def install() -> None:
    """Let fairseq's commands start their ranks here."""
    fairseq_distributed.call_main = call_main


def call_main(cfg: DictConfig, main: Callable[..., None], **kwargs: Any) -> None:
    """Find the layout, start or become its ranks, and run ``main(cfg)`` in each.

    Raises:
        LayoutError: if the ranks that were launched cannot train together.
    """
    training = cfg.distributed_training
    if cfg.common.tpu or cfg.common.model_parallel_size > 1 or training.pipeline_model_parallel:
        fairseq_call_main(cfg, main, **kwargs)
        return
    _check_user_dir(cfg.common.user_dir)
    gpus = 0 if cfg.common.cpu else torch.cuda.device_count()
    layout = find_layout(_wishes(cfg), os.environ, gpus)
    if gpus:
        check_ddp(cfg, layout.world_size)
    else:
        _check_without_gpus(cfg, layout)
    if layout.local_ranks == 1:
        run_rank(0, layout, cfg, main, kwargs)
    else:
        _run_local_ranks(layout, cfg, main, kwargs)


def _wishes(cfg: DictConfig) -> Wishes:
    """What the configuration says; its default of a rank for each visible GPU says nothing."""
    training = cfg.distributed_training
    default = max(1, torch.cuda.device_count())
    stated = training.distributed_world_size if training.distributed_world_size != default else None
    if training.distributed_init_method:
        stated = training.distributed_world_size
    return Wishes(
        stated,
        training.distributed_init_method,
        training.distributed_rank or 0,
        training.distributed_no_spawn,
        max(0, training.distributed_port),
    )


def _check_without_gpus(cfg: DictConfig, layout: Layout) -> None:
    """CPUs train where that was asked for, or one rank does without a word, but never in half precision."""
    visible = f"CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES')}"
    if cfg.common.fp16:
        raise LayoutError(
            f"rank {layout.rank} uses no GPU (common.cpu={str(cfg.common.cpu).lower()}, {visible}), but common.fp16 is "
            f"for GPUs. Ask for GPUs, or set common.cpu=true common.fp16=false to train on CPUs."
        )
    if layout.world_size > 1 and not cfg.common.cpu:
        raise LayoutError(
            f"rank {layout.rank} of {layout.world_size} sees no GPU ({visible}). Ask for GPUs, or set common.cpu=true "
            f"to train on CPUs."
        )


def _check_user_dir(user_dir: str | None) -> None:
    """Say which two copies of this package there are, before fairseq finds the name taken."""
    here = Path(__file__).parents[1]
    if user_dir and Path(user_dir).name == here.name and Path(user_dir).resolve() != here:
        raise LayoutError(
            f"common.user_dir={user_dir}, but the mert_fairseq that is installed lies in {here}. Pass "
            f"common.user_dir={here}, or install the other (pip install -e)."
        )


def _run_local_ranks(layout: Layout, cfg: DictConfig, main: Callable[..., None], kwargs: dict[str, Any]) -> None:
    """A process a rank on this machine; signals to stop are handed on to them."""
    context = torch.multiprocessing.start_processes(
        run_rank, (layout, cfg, main, kwargs), nprocs=layout.local_ranks, join=False, start_method="spawn"
    )
    STOP.hand_on(context.pids())
    while not context.join():
        pass


def run_rank(index: int, layout: Layout, cfg: DictConfig, main: Callable[..., None], kwargs: dict[str, Any]) -> None:
    """Be rank ``layout.rank + index``: meet the others, train, leave together."""
    on_gpu = torch.cuda.is_available() and not cfg.common.cpu
    rank, device = layout.rank + index, layout.device + index
    timeout_seconds = _describe(cfg, layout, rank, device, on_gpu)
    if on_gpu:
        torch.cuda.set_device(device)
    if layout.world_size > 1:
        group.meet(layout, rank, cfg.distributed_training.distributed_backend, timeout_seconds)
    logging.getLogger().setLevel(logging.INFO if rank == 0 else logging.WARNING)
    if layout.world_size == 1 and not on_gpu and not cfg.common.cpu:
        logger.warning("found no GPU: training on the CPU. Set common.cpu=true to say that this is meant")
    logger.info(ranks_line(layout, cfg.distributed_training.distributed_backend, timeout_seconds, on_gpu))
    logger.info(batch_line(cfg))
    hooks.install()
    STOP.listen()
    with group.naming_lost_ranks(rank, timeout_seconds), naming_hydra_options():
        main(cfg, **kwargs)
        raise_if_unsaved()
        if layout.world_size > 1:
            group.leave()


def _describe(cfg: DictConfig, layout: Layout, rank: int, device: int, on_gpu: bool) -> float:
    """Write the layout into the configuration that fairseq reads; gives the longest wait in seconds."""
    training = cfg.distributed_training
    timeout_seconds = training.heartbeat_timeout if training.heartbeat_timeout > 0 else group.TIMEOUT_SECONDS
    with open_dict(cfg):
        training.heartbeat_timeout = -1  # the group keeps the time; fairseq's watch would interrupt without a word
        training.distributed_world_size, training.distributed_rank = layout.world_size, rank
        training.distributed_init_method, training.distributed_no_spawn = layout.init_method, True
        training.distributed_num_procs, training.device_id = 1, device
        if not on_gpu:
            training.distributed_backend, training.ddp_backend = "gloo", "legacy_ddp"  # the only ones for CPUs
    return timeout_seconds
