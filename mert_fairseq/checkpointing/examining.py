"""Is a checkpoint whole and of this model, and which of a folder's is the last such one?"""

import logging
import re
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from mert_fairseq.checkpointing.safe_loading import read_checkpoint
from mert_fairseq.checkpointing.warm_start import is_head

logger = logging.getLogger(__name__)
LAST = "checkpoint_last.pt"
OTHERS = re.compile(r"checkpoint(\d+|_\d+_\d+|_best|\.best_.*)\.pt")


class CheckpointError(ValueError):
    """No checkpoint to go on from, although there are some."""


class Found(NamedTuple):
    """A checkpoint that can be loaded."""

    path: Path
    updates: int
    cfg: dict[str, Any]  # that it was trained with
    criterion: str  # name of the class


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
    _check_weights(path, dict(state["model"]), model)
    last = state["optimizer_history"][-1]
    return Found(path, last["num_updates"], state["cfg"], last.get("criterion_name", ""))


def _check_weights(path: Path, weights: dict[str, Any], model: nn.Module) -> None:
    model.upgrade_state_dict(weights)  # type: ignore[operator]  # fairseq's
    found = {name: tuple(value.shape) for name, value in weights.items()}
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    differing = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    if not differing:
        return
    name = differing[0]
    advice = ""
    if option := getattr(model, "pretrained_weights_option", ""):
        what = "Only its heads differ, as with other labels" if all(map(is_head, differing)) else "Its options differ"
        advice = (
            f" {what}. To start from its conv stack and Transformer with new heads, set {option}={path} "
            f"and a new checkpoint.save_dir, without checkpoint.restore_file and checkpoint.finetune_from_model."
        )
    raise ValueError(
        f"{path}: is of another model: {name} has shape {found.get(name)}, expected {expected.get(name)}.{advice}"
    )


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
            f"{save_dir}: holds {len(faults)} checkpoint(s), but none to go on from. {faults[0]} Move them away to "
            f"start anew, or train with the options that they were trained with."
        )
    return None
