"""Which checkpoint a run continues from: the one that the user named, or the last one that can be loaded."""

import copy
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from mert_fairseq.checkpointing.examining import LAST, CheckpointError, Found, examine, last_good

logger = logging.getLogger(__name__)
PRECISIONS = ("fp16", "bf16", "amp", "memory_efficient_fp16", "memory_efficient_bf16")


class Named(NamedTuple):
    """A checkpoint that the user asked for by name."""

    option: str
    path: Path


def falling_back(load: Callable[..., Any]) -> Callable[..., Any]:
    """fairseq's ``load_checkpoint``, but of the last whole checkpoint, and at its place in the data on any ranks."""

    def load_checkpoint(cfg: Any, trainer: Any, **options: Any) -> Any:
        if suffix := trainer.checkpoint_suffix:  # a file per rank, which fairseq loads by itself
            if cfg.restore_file != LAST:
                path = Path(cfg.restore_file.replace(".pt", f"{suffix}.pt"))
                _check_exists(Named("checkpoint.restore_file", path), Path(cfg.save_dir))
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
            update_freq = trainer.cfg.optimization.update_freq
            place(extra_state["train_iterator"], found.cfg, trainer.data_parallel_world_size, update_freq)
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
            answer = [_find(cfg, trainer)]
        except ValueError as error:
            answer = [str(error)]
    if trainer.data_parallel_world_size > 1:
        torch.distributed.broadcast_object_list(answer, src=0, group=trainer.data_parallel_process_group)
    if isinstance(answer[0], str):
        raise CheckpointError(answer[0])
    return answer[0]


def _find(cfg: Any, trainer: Any) -> Found | None:
    """The checkpoint to continue from; None for a new start or fine-tuning, whose checkpoint has been checked.

    Raises:
        ValueError: if there are checkpoints but none fits, or one that was asked for by name cannot be used.
    """
    model, save_dir = trainer.get_model(), Path(cfg.save_dir)
    for partial in save_dir.glob(".checkpoint*.partial"):
        partial.unlink()  # of a run that was killed while it saved
    if cfg.restore_file != LAST:
        found = _examine_named(Named("checkpoint.restore_file", Path(cfg.restore_file)), model, save_dir)
        if (save_dir / LAST).exists():
            logger.warning(f"starting from checkpoint.restore_file={found.path}, not from {save_dir / LAST}")
    elif last := last_good(save_dir, model):
        found = last
    elif continue_once := getattr(cfg, "continue_once", None):
        found = _examine_named(Named("checkpoint.continue_once", Path(continue_once)), model, save_dir)
    else:
        if cfg.finetune_from_model:
            _examine_named(Named("checkpoint.finetune_from_model", Path(cfg.finetune_from_model)), model, save_dir)
        return None
    if not cfg.reset_optimizer:
        _check_same_training(found, trainer)
    return found


def _examine_named(named: Named, model: nn.Module, save_dir: Path) -> Found:
    """Check a checkpoint that the user asked for; nothing else is taken in its place."""
    _check_exists(named, save_dir)
    try:
        return examine(named.path, model, mapped=False)
    except ValueError as error:
        raise CheckpointError(f"{named.option}: {error}") from error


def _check_exists(named: Named, save_dir: Path) -> None:
    if named.path.is_file():
        return
    there = save_dir / named.path.name
    remedy = f"Give {there}" if there.is_file() else "Give the .pt file that fairseq saved"
    raise CheckpointError(
        f"{named.option}={named.path}: no such checkpoint ({named.path.absolute()}). {remedy}, or leave the option out."
    )


def _check_same_training(found: Found, trainer: Any) -> None:
    """Refuse to restore an optimizer that another precision or criterion left."""
    then, now = found.cfg.get("common") or {}, trainer.cfg.common
    changed = [name for name in PRECISIONS if bool(then.get(name)) != bool(getattr(now, name, False))]
    remedy = (
        "or take its weights alone with checkpoint.reset_optimizer=true, once: the optimizer, the learning rate and "
        "the count of updates start anew."
    )
    if changed:
        was, now_is = (
            " ".join(f"common.{name}={str(bool(values.get(name))).lower()}" for name in changed)
            for values in (then, {name: getattr(now, name, False) for name in changed})
        )
        raise CheckpointError(
            f"{found.path}: was trained with {was}, but this run has {now_is}, and the optimizer's state of one "
            f"precision does not fit the other. Continue with {was}, {remedy}"
        )
    criterion = trainer.get_criterion().__class__.__name__
    if found.criterion not in ("", criterion):
        raise CheckpointError(
            f"{found.path}: was trained with the criterion {found.criterion}, but this run has {criterion} "
            f"(criterion._name). Continue with the former, {remedy}"
        )


def place(iterator_state: dict[str, Any], cfg: dict[str, Any], ranks: int, update_freq: Sequence[int]) -> None:
    """Add to the state of an epoch's iterator what it needs to continue with other batches, ranks or update_freq.

    Args:
        iterator_state: as saved; ``ClipBatchIterator`` reads what is added here. fairseq's own iterator counts steps
            of one rank, which become those of the ranks there are now: where batches do not divide, fewer than
            ``ranks`` are repeated.
        cfg: that the checkpoint was trained with.
        ranks: there are now.
        update_freq: steps per update by epoch; the last one holds for later epochs.
    """
    then, dataset = cfg.get("distributed_training") or {}, cfg.get("dataset") or {}
    ranks_then, steps = then.get("distributed_world_size", 1), iterator_state["iterations_in_epoch"]
    limits = [dataset.get("max_tokens"), dataset.get("batch_size"), dataset.get("required_batch_size_multiple", 1)]
    iterator_state["checkpoint"] = {"steps": steps, "ranks": ranks_then, "limits": limits}
    iterator_state["iterations_in_epoch"] = steps * ranks_then // ranks
    iterator_state["update_freq"] = update_freq[min(iterator_state["epoch"], len(update_freq)) - 1]
