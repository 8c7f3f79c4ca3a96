"""Chooses the checkpoint that a run continues from: the one that the user named, or the last valid one."""

import copy
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from fairseq.trainer import Trainer
from torch import nn

from mert_fairseq.checkpointing.checkpoint_search import (
    LAST,
    CheckpointError,
    ValidCheckpoint,
    check_checkpoint,
    find_last_valid,
)

logger = logging.getLogger(__name__)
PRECISIONS = ("fp16", "bf16", "amp", "memory_efficient_fp16", "memory_efficient_bf16")
SAME_OPTIMIZER_STATE = {"FairseqAdam", "FusedAdamW"}
fairseq_build_optimizer = Trainer._build_optimizer


class NamedCheckpoint(NamedTuple):
    """A checkpoint that the user named in an option."""

    option: str
    path: Path


def load_with_fallback(load: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps fairseq's ``load_checkpoint``: loads the last valid checkpoint, and resumes on any number of ranks."""

    def load_checkpoint(cfg: Any, trainer: Any, **options: Any) -> Any:
        if suffix := trainer.checkpoint_suffix:  # one file per rank; fairseq loads these
            if cfg.restore_file != LAST:
                path = Path(cfg.restore_file.replace(".pt", f"{suffix}.pt"))
                _check_exists(NamedCheckpoint("checkpoint.restore_file", path), Path(cfg.save_dir))
            return load(cfg, trainer, **options)
        found = _find_on_all_ranks(cfg, trainer)
        if found is None:
            return load(cfg, trainer, **options)
        chosen = copy.deepcopy(cfg)
        chosen.restore_file = str(found.path)
        if cfg.restore_file == LAST:
            chosen.finetune_from_model = None  # done when the run began
        fairseq_load = trainer.load_checkpoint

        def load_and_add_position(*args: Any, **kwargs: Any) -> dict[str, Any]:
            extra_state = fairseq_load(*args, **kwargs)
            update_freq = trainer.cfg.optimization.update_freq
            add_resume_position(extra_state["train_iterator"], found.cfg, trainer.data_parallel_world_size, update_freq)
            return extra_state

        trainer.load_checkpoint = load_and_add_position
        try:
            return load(chosen, trainer, **options)
        finally:
            trainer.load_checkpoint = fairseq_load

    return load_checkpoint


def _find_on_all_ranks(cfg: Any, trainer: Any) -> ValidCheckpoint | None:
    """Broadcast the checkpoint that rank 0 finds, so that all ranks load it or fail together."""
    found: list[ValidCheckpoint | str | None] = [None]
    if trainer.data_parallel_rank == 0:
        try:
            found = [_find(cfg, trainer)]
        except ValueError as error:
            found = [str(error)]
    if trainer.data_parallel_world_size > 1:
        torch.distributed.broadcast_object_list(found, src=0, group=trainer.data_parallel_process_group)
    if isinstance(found[0], str):
        raise CheckpointError(found[0])
    return found[0]


def _find(cfg: Any, trainer: Any) -> ValidCheckpoint | None:
    """The checkpoint to continue from; None for a new training or for fine-tuning, whose checkpoint is checked here.

    Raises:
        ValueError: if there are checkpoints but none fits, or if a checkpoint that the user named cannot be used.
    """
    model, save_dir = trainer.get_model(), Path(cfg.save_dir)
    for partial in save_dir.glob(".checkpoint*.partial"):
        partial.unlink()  # of a run that was killed during a save
    if cfg.restore_file != LAST:
        found = _check_named(NamedCheckpoint("checkpoint.restore_file", Path(cfg.restore_file)), model, save_dir)
        if (save_dir / LAST).exists():
            logger.warning(f"starting from checkpoint.restore_file={found.path}, not from {save_dir / LAST}")
    elif last := find_last_valid(save_dir, model):
        found = last
    elif continue_once := getattr(cfg, "continue_once", None):
        found = _check_named(NamedCheckpoint("checkpoint.continue_once", Path(continue_once)), model, save_dir)
    else:
        if cfg.finetune_from_model:
            _check_named(
                NamedCheckpoint("checkpoint.finetune_from_model", Path(cfg.finetune_from_model)), model, save_dir
            )
        return None
    if not cfg.reset_optimizer:
        _check_same_training(found, trainer)
    return found


def _check_named(named: NamedCheckpoint, model: nn.Module, save_dir: Path) -> ValidCheckpoint:
    """Check a checkpoint that the user named; no other one replaces it."""
    _check_exists(named, save_dir)
    try:
        return check_checkpoint(named.path, model, mapped=False)
    except ValueError as error:
        raise CheckpointError(f"{named.option}: {error}") from error


def _check_exists(named: NamedCheckpoint, save_dir: Path) -> None:
    if named.path.is_file():
        return
    in_save_dir = save_dir / named.path.name
    remedy = f"Give {in_save_dir}" if in_save_dir.is_file() else "Give the .pt file that fairseq saved"
    raise CheckpointError(
        f"{named.option}={named.path}: no such checkpoint ({named.path.absolute()}). {remedy}, or remove the option."
    )


def _check_same_training(found: ValidCheckpoint, trainer: Any) -> None:
    """Refuse to restore the optimizer of a training in another precision or with another criterion."""
    saved, current = found.cfg.get("common") or {}, trainer.cfg.common
    changed = [name for name in PRECISIONS if bool(saved.get(name)) != bool(getattr(current, name, False))]
    remedy = (
        "or load only its weights with checkpoint.reset_optimizer=true, once: the optimizer, the learning rate and "
        "the count of updates start again."
    )
    if changed:
        old, new = (
            " ".join(f"common.{name}={str(bool(values.get(name))).lower()}" for name in changed)
            for values in (saved, {name: getattr(current, name, False) for name in changed})
        )
        raise CheckpointError(
            f"{found.path}: was trained with {old}, but this run has {new}. The optimizer states of different "
            f"precisions are not compatible. Continue with {old}, {remedy}"
        )
    criterion = trainer.get_criterion().__class__.__name__
    if found.criterion not in ("", criterion):
        raise CheckpointError(
            f"{found.path}: was trained with the criterion {found.criterion}, but this run has {criterion} "
            f"(criterion._name). Continue with {found.criterion}, {remedy}"
        )


def add_resume_position(
    iterator_state: dict[str, Any], cfg: dict[str, Any], ranks: int, update_freq: Sequence[int]
) -> None:
    """Extend the state of an epoch's iterator, so that it continues with other batches, ranks or update_freq.

    Args:
        iterator_state: as saved. ``ClipBatchIterator`` reads the added entries. fairseq's own iterator counts steps of
            one rank; the count is converted to the current number of ranks. If it does not divide, fewer than
            ``ranks`` batches are repeated.
        cfg: of the run that saved the checkpoint.
        ranks: current number of ranks.
        update_freq: steps per update by epoch; the last one applies to later epochs.
    """
    saved, dataset = cfg.get("distributed_training") or {}, cfg.get("dataset") or {}
    saved_ranks, steps = saved.get("distributed_world_size", 1), iterator_state["iterations_in_epoch"]
    limits = [dataset.get("max_tokens"), dataset.get("batch_size"), dataset.get("required_batch_size_multiple", 1)]
    iterator_state["checkpoint"] = {"steps": steps, "ranks": saved_ranks, "limits": limits}
    iterator_state["iterations_in_epoch"] = steps * saved_ranks // ranks
    iterator_state["update_freq"] = update_freq[min(iterator_state["epoch"], len(update_freq)) - 1]


def build_optimizer(self: Trainer) -> None:
    """fairseq's ``_build_optimizer``, which also accepts the state of ``adam`` in ``fused_adamw`` and vice versa.

    fairseq compares the names of the optimizers right after this call. The states of these two are equal in format. In
    half precision both have the name of fairseq's wrapper, and nothing has to be changed.
    """
    fairseq_build_optimizer(self)
    if not self._optim_history:
        return
    last, name = self._optim_history[-1], type(self.optimizer).__name__
    if {last.get("optimizer_name"), name} == SAME_OPTIMIZER_STATE:
        logger.info(f"loading the optimizer state of {last['optimizer_name']} from the checkpoint into {name}")
        self._optim_history = [*self._optim_history[:-1], {**last, "optimizer_name": name}]


REPLACED: list[tuple[type, str, Callable[..., Any]]] = [(Trainer, "_build_optimizer", build_optimizer)]
