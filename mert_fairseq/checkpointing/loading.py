"""Which checkpoint a run goes on from: the last one that is whole and of this model."""

import copy
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from mert_fairseq.checkpointing.safe_loading import read_checkpoint

logger = logging.getLogger(__name__)
LAST = "checkpoint_last.pt"
OTHERS = re.compile(r"checkpoint(\d+|_\d+_\d+|_best|\.best_.*)\.pt")


class CheckpointError(ValueError):
    """No checkpoint to go on from, although there are some."""


class Found(NamedTuple):
    """A checkpoint that can be loaded."""

    path: Path
    updates: int
    ranks: int  # that it was trained on


def examine(path: Path, model: nn.Module, mapped: bool = True) -> Found:
    """Check that a checkpoint is whole and of this model.

    Args:
        path: of the file.
        model: that is to be loaded.
        mapped: leave the weights on the disk; files of torch before 1.6 have to be read.

    Raises:
        ValueError: saying what is wrong with it.
    """
    state = read_checkpoint(path, mapped)
    missing = [key for key in ("optimizer_history", "extra_state", "cfg") if not state.get(key)]
    if missing or "train_iterator" not in state["extra_state"]:
        raise ValueError(f"{path}: lacks {', '.join(missing) or 'train_iterator'}: not the checkpoint of a training.")
    weights = dict(state["model"])
    model.upgrade_state_dict(weights)  # type: ignore[operator]  # fairseq's
    found = {name: tuple(value.shape) for name, value in weights.items()}
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            raise ValueError(
                f"{path}: is of another model: {name} has shape {found.get(name)}, expected {expected.get(name)}."
            )
    ranks = state["cfg"].get("distributed_training", {}).get("distributed_world_size", 1)
    return Found(path, state["optimizer_history"][-1]["num_updates"], ranks)


def last_good(save_dir: Path, model: nn.Module) -> Found | None:
    """The last checkpoint of a folder that can be loaded; None if it holds none at all.

    Raises:
        CheckpointError: if there are checkpoints, but none can be loaded; a new start would overwrite them.
    """
    others = [path for path in save_dir.glob("checkpoint*.pt") if OTHERS.fullmatch(path.name)]
    faults: list[str] = []
    if (last := save_dir / LAST).exists():
        try:
            return examine(last, model)
        except ValueError as error:
            faults.append(str(error))
            logger.error(f"cannot go on from the last checkpoint: {error}")
    good = []
    for path in others:
        try:
            good.append(examine(path, model))
        except ValueError as error:
            faults.append(str(error))
    if good:
        best = max(good, key=lambda found: found.updates)
        logger.error(f"going on from {best.path}, update {best.updates}")
        return best
    if faults:
        raise CheckpointError(
            f"{save_dir}: holds checkpoints, but none to go on from. " + " ".join(faults) + " Move them away to start "
            "anew, or train with the options that they were trained with."
        )
    return None


def falling_back(load: Callable[..., Any]) -> Callable[..., Any]:
    """fairseq's ``load_checkpoint``, but of the last whole checkpoint, and at its place in the data on any ranks."""

    def load_checkpoint(cfg: Any, trainer: Any, **options: Any) -> Any:
        if trainer.checkpoint_suffix:  # a file a rank, which fairseq loads by itself
            return load(cfg, trainer, **options)
        found = _same_everywhere(cfg, trainer)
        if found is None:
            return load(cfg, trainer, **options)
        chosen = copy.deepcopy(cfg)
        chosen.restore_file = str(found.path)
        if cfg.restore_file == LAST:
            chosen.finetune_from_model = None  # it has been, when the run began
        fairseq_load = trainer.load_checkpoint

        def load_and_place(*args: Any, **kwargs: Any) -> dict[str, Any]:
            extra_state = fairseq_load(*args, **kwargs)
            place(extra_state["train_iterator"], found.ranks, trainer.data_parallel_world_size)
            return extra_state

        trainer.load_checkpoint = load_and_place
        try:
            return load(chosen, trainer, **options)
        finally:
            trainer.load_checkpoint = fairseq_load

    return load_checkpoint


def _same_everywhere(cfg: Any, trainer: Any) -> Found | None:
    """What rank 0 finds, told to all ranks, so that they load or fail together."""
    answer: list[Found | str | None] = [None]
    if trainer.data_parallel_rank == 0:
        try:
            answer = [_find(cfg, trainer.get_model())]
        except ValueError as error:
            answer = [str(error)]
    if trainer.data_parallel_world_size > 1:
        torch.distributed.broadcast_object_list(answer, src=0, group=trainer.data_parallel_process_group)
    if isinstance(answer[0], str):
        raise CheckpointError(answer[0])
    return answer[0]


def _find(cfg: Any, model: nn.Module) -> Found | None:
    if cfg.restore_file != LAST:
        path = Path(cfg.restore_file)
        return examine(path, model, mapped=False) if path.is_file() else None
    save_dir = Path(cfg.save_dir)
    for partial in save_dir.glob(".checkpoint*.partial"):
        partial.unlink()  # of a run that was killed while it saved
    return last_good(save_dir, model)


def place(iterator_state: dict[str, Any], ranks_then: int, ranks_now: int) -> None:
    """Count the batches of an epoch that are done by the ranks that there are now.

    Batch b of an epoch belongs to rank b modulo the number of ranks, so that after n steps n x ranks are done. Where
    they do not divide, fewer than ``ranks_now`` batches are met twice.
    """
    done = iterator_state["iterations_in_epoch"] * ranks_then
    iterator_state["iterations_in_epoch"] = done // ranks_now
