"""A trained genre classifier, loaded with its task."""

from pathlib import Path
from typing import Any, NamedTuple

from fairseq.checkpoint_utils import load_model_ensemble_and_task
from torch import nn

from mert_fairseq.tasks.genre import GenreTask


class Classifier(NamedTuple):
    """A model, the task that feeds it, and the whole configuration it was trained with."""

    model: nn.Module
    task: GenreTask
    cfg: Any


def load_classifier(path: Path | str, **overrides: Any) -> Classifier:
    """Load a checkpoint of a genre task, without trusting pickle.

    Args:
        path: the .pt file.
        overrides: options to change by name, such as ``data``; None changes nothing.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no checkpoint of a genre task.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint. Give the .pt file that fairseq saved.")
    changed = {name: value for name, value in overrides.items() if value is not None}
    models, cfg, task = load_model_ensemble_and_task([str(path)], arg_overrides=changed)
    if not isinstance(task, GenreTask):
        raise ValueError(
            f"{path}: found a checkpoint of the task {cfg.task._name}, expected one that classifies genres, such as "
            f"fma_genre."
        )
    return Classifier(models[0].eval(), task, cfg)
