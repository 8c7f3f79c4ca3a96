"""The whole search: groups of runs one after the other, each stored on disk, then the choice on validation."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from mert_fairseq.files import replacing
from mert_fairseq.probing.objectives import Objective
from mert_fairseq.probing.rows import Rows
from mert_fairseq.probing.search.protocol import Protocol, Run, plan_chunks
from mert_fairseq.probing.search.train_heads import Group, predict, train_runs

RUNS_AT_ONCE = {"cpu": 10, "cuda": 420}  # 10 heads of width 768 fill a CPU's cache; 420 take 4 GB of a GPU

FRAME_RUNS_AT_ONCE = {"cpu": 1, "cuda": 60}  # 64 crops of 750 frames: 0.1 GB of hidden units per run, and gradients

OUTPUTS_OF = "outputs of "  # names of arrays in a group's file


class RunScore(NamedTuple):
    """Result of a run: validation score at its best epoch, and the test score of that epoch."""

    run: Run
    valid: float
    test: float
    epoch: int


@dataclass(frozen=True)
class Found:
    """The result of a search.

    Attributes:
        scores: of all runs.
        layer, learning_rate: the choice: highest mean validation score over the seeds.
        outputs: (seeds, W, K) of the chosen runs on valid, test and changed copies of test.
    """

    scores: list[RunScore]
    layer: int
    learning_rate: float
    outputs: dict[str, Tensor]


def search(
    splits: dict[str, Rows],
    objective: Objective,
    protocol: Protocol,
    folder: Path,
    *,
    key: str,
    crop_rows: int | None = None,
    device: str = "cpu",
    runs_at_once: int | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Found:
    """Train all runs and choose; continues where an earlier search with the same ``key`` stopped.

    Args:
        splits: train, valid, test, and changed copies of test.
        objective: of the task.
        protocol: what to search.
        folder: for the finished groups.
        key: digest of features and settings; groups with another key are trained again.
        crop_rows: rows of each clip per update; None for all.
        device: where heads are trained.
        runs_at_once: runs in a group; None for the default of the device.
        report: called with the numbers of finished runs and all runs.

    Raises:
        ValueError: if a layer does not exist, nothing can be learnt, or no run has a finite score.
    """
    objective.check_training(splits["train"].targets)
    limit = runs_at_once or (FRAME_RUNS_AT_ONCE if crop_rows else RUNS_AT_ONCE)[torch.device(device).type]
    chunks = plan_chunks(protocol, len(splits["train"].states), limit)
    total, done = sum(map(len, chunks)), 0
    folder.mkdir(parents=True, exist_ok=True)
    stored = []
    for number, runs in enumerate(chunks):
        path = folder / f"group_{number:03d}.npz"
        about = json.dumps({"key": key, "runs": [list(run) for run in runs]})
        group = _read_group(path, about)
        if group is None:
            group = _train_group(runs, splits, objective, protocol, crop_rows, device)
            with replacing(path) as partial, partial.open("wb") as file:
                np.savez(file, about=np.array(about), **group)  # type: ignore[arg-type]
        stored.append(group)
        done += len(runs)
        report(done, total)
    return _choose(chunks, stored)


def _train_group(
    runs: list[Run],
    splits: dict[str, Rows],
    objective: Objective,
    protocol: Protocol,
    crop_rows: int | None,
    device: str,
) -> dict[str, np.ndarray]:
    """Scores of a group, and the outputs of its best learning rate and layer with all seeds."""
    trained = train_runs(
        runs, splits["train"], splits["valid"], objective, protocol, crop_rows=crop_rows, device=device
    )
    cell = _best_cell(runs, trained.scores.numpy())
    group = Group(trained.runs, device)
    outputs = {
        name: predict(group, trained.heads, rows, protocol.precision)
        for name, rows in splits.items()
        if name != "train"
    }
    test = objective.monitor(outputs["test"], splits["test"]).double().cpu().numpy()
    return {
        "valid": trained.scores.numpy(),
        "test": test,
        "epochs": trained.epochs.numpy(),
        **{OUTPUTS_OF + name: each[cell].numpy() for name, each in outputs.items()},
    }


def _best_cell(runs: list[Run], valid: np.ndarray) -> list[int]:
    """Indices of the runs whose layer and learning rate have the highest mean over the seeds."""
    cells: dict[tuple[int, float], list[int]] = {}
    for place, run in enumerate(runs):
        cells.setdefault((run.layer, run.learning_rate), []).append(place)
    return max(cells.values(), key=lambda places: float(valid[places].mean()))


def _read_group(path: Path, about: str) -> dict[str, Any] | None:
    """A finished group; None if it is missing, damaged or was made with other settings."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["about"]) == about:
                return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        pass
    return None


def _choose(chunks: list[list[Run]], stored: list[dict[str, Any]]) -> Found:
    scores, best, chosen = [], -np.inf, None
    for runs, group in zip(chunks, stored, strict=True):
        scores += [
            RunScore(run, float(valid), float(test), int(epoch))
            for run, valid, test, epoch in zip(runs, group["valid"], group["test"], group["epochs"], strict=True)
        ]
        places = _best_cell(runs, group["valid"])
        if (mean := float(group["valid"][places].mean())) > best:
            best, chosen = mean, (runs[places[0]], group)
    if chosen is None:
        raise ValueError(
            "no run has a finite validation score: every head diverged. Check the features for huge values, or give "
            "smaller --learning-rates."
        )
    run, group = chosen
    outputs = {
        name.removeprefix(OUTPUTS_OF): torch.from_numpy(each)
        for name, each in group.items()
        if name.startswith(OUTPUTS_OF)
    }
    return Found(scores, run.layer, run.learning_rate, outputs)
