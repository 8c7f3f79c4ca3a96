"""A trained genre classifier, loaded with its task."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from fairseq.checkpoint_utils import load_model_ensemble_and_task
from fairseq.tasks import TASK_REGISTRY
from torch import nn

from mert_fairseq.checkpointing.safe_loading import read_checkpoint
from mert_fairseq.genre.base_task import GenreTask


class Classifier(NamedTuple):
    """A model, the task that feeds it, and the whole configuration it was trained with."""

    model: nn.Module
    task: GenreTask
    cfg: Any


def load_classifier(path: Path | str, **overrides: Any) -> Classifier:
    """Load a checkpoint of a genre task, without trusting pickle, onto a GPU if there is one.

    Args:
        path: the .pt file.
        overrides: options to change by name, such as ``data``; None changes nothing.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no whole checkpoint of a genre task.
    """
    path = Path(path)
    _check(path, read_checkpoint(path))
    changed = {name: value for name, value in overrides.items() if value is not None}
    models, cfg, task = load_model_ensemble_and_task([str(path)], arg_overrides=changed)
    model = models[0].eval()
    return Classifier(model.cuda() if torch.cuda.is_available() else model, task, cfg)


def _check(path: Path, state: Mapping[str, Any]) -> None:
    """Refuse what fairseq would stumble over while it builds the task and the model."""
    name = _section(_section(state, "cfg"), "task").get("_name")
    task = TASK_REGISTRY.get(name)
    if task is None or not issubclass(task, GenreTask):
        raise ValueError(
            f"{path}: found a checkpoint of the task {name}, expected one that classifies genres: fma_genre or "
            f"genre_audio (config/genre)."
        )
    if absent := [key for key in ("task_state", "optimizer_history") if not state.get(key)]:
        raise ValueError(f"{path}: lacks {' and '.join(absent)}. Give a checkpoint as its training saved it.")


def _section(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = holder.get(key)
    return found if isinstance(found, Mapping) else {}
