"""Checks that a checkpoint is complete and fits the model, and finds the last such checkpoint of a folder."""

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
    """No checkpoint can be used, although there are some."""


class ValidCheckpoint(NamedTuple):
    """A complete checkpoint that fits the model."""

    path: Path
    updates: int
    cfg: dict[str, Any]  # of the run that saved it
    criterion: str  # class name


def check_checkpoint(path: Path, model: nn.Module, mapped: bool = True) -> ValidCheckpoint:
    """Check that a checkpoint is complete and fits the model.

    Args:
        path: of the file.
        model: that will load it.
        mapped: map the weights from disk instead of reading them; not possible for files of torch before 1.6.

    Raises:
        ValueError: if it is damaged or does not fit; the message says what is wrong.
    """
    state = read_checkpoint(path, mapped)
    missing = [key for key in ("optimizer_history", "extra_state", "cfg") if not state.get(key)]
    if missing or "train_iterator" not in state["extra_state"]:
        raise ValueError(
            f"{path}: lacks {', '.join(missing) or 'train_iterator'}. Give a checkpoint that a training saved."
        )
    _check_weights(path, dict(state["model"]), model)
    last = state["optimizer_history"][-1]
    return ValidCheckpoint(path, last["num_updates"], state["cfg"], last.get("criterion_name", ""))


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
        cause = "Only its heads differ, as with other labels" if all(map(is_head, differing)) else "Its options differ"
        advice = (
            f" {cause}. To start from its conv stack and Transformer with new heads, set {option}={path} "
            f"and a new checkpoint.save_dir, without checkpoint.restore_file and checkpoint.finetune_from_model."
        )
    raise ValueError(
        f"{path}: belongs to another model: {name} has shape {found.get(name)}, expected {expected.get(name)}.{advice}"
    )


def find_last_valid(save_dir: Path, model: nn.Module) -> ValidCheckpoint | None:
    """The last checkpoint of a folder that can be loaded; None if the folder has no checkpoint.

    Raises:
        CheckpointError: if there are checkpoints, but none can be loaded. A new training would overwrite them.
    """
    others = [path for path in save_dir.glob("checkpoint*.pt") if OTHERS.fullmatch(path.name)]
    faults: list[str] = []
    if (last := save_dir / LAST).exists():
        try:
            return check_checkpoint(last, model)
        except ValueError as error:
            faults.append(str(error))
            logger.error(f"cannot continue from the last checkpoint: {error}")
    good = []
    for path in others:
        try:
            good.append(check_checkpoint(path, model))
        except ValueError as error:
            faults.append(str(error))
    if good:
        best = max(good, key=lambda found: found.updates)
        logger.error(f"continuing from {best.path}, update {best.updates}")
        return best
    if faults:
        raise CheckpointError(
            f"{save_dir}: found {len(faults)} checkpoint(s), but none that this run can continue from. "
            f"{faults[0]} Move them away to start a new training, or use the options that they were trained with."
        )
    return None
