"""Scores with few labels: k nearest neighbours, and logistic regression on a few labelled clips per class."""

import warnings
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from mert_fairseq.probing.objectives import ClassObjective, Objective
from mert_fairseq.probing.rows import Rows

SHOTS = (1, 2, 5, 10, 20, 50)  # labelled clips per class
DRAWS = 5
NEVER = -1e9  # the output of a class without labelled clips
COUNTS = (1, 5, 10, 20)  # of neighbours
BLOCK_ROWS = 256


def neighbour_scores(splits: dict[str, Rows], objective: Objective) -> dict[str, Any]:
    """Average the targets of the nearest training rows by cosine, features standardised; choose on validation.

    Args:
        splits: train, valid and test, one row per window.
        objective: of the task.

    Returns:
        layer and neighbours, chosen on validation; valid, its score there; test, the scores on test.
    """
    best: tuple[float, int, int] | None = None
    for layer in range(len(splits["train"].states)):
        outputs = _outputs(splits["train"], splits["valid"], objective, layer)
        for count, each in outputs.items():
            score = float(objective.monitor(each[None], splits["valid"])[0])
            if best is None or score > best[0]:
                best = (score, layer, count)
    assert best is not None  # every encoder has a state
    score, layer, count = best
    valid = _outputs(splits["train"], splits["valid"], objective, layer)[count]
    test = _outputs(splits["train"], splits["test"], objective, layer)[count]
    tuned = objective.tune(valid, splits["valid"])
    return {
        "layer": layer,
        "neighbours": count,
        "valid": score,
        "test": objective.score(test, splits["test"], tuned),
    }


def _outputs(train: Rows, rows: Rows, objective: Objective, layer: int) -> dict[int, Tensor]:
    """(W, K) outputs for each number of neighbours."""
    known = train.states[layer].float()
    mean, deviation = known.mean(0), known.std(0).clamp(min=1e-6)
    known = F.normalize((known - mean) / deviation)
    targets = train.targets_of(torch.arange(len(known)))
    if isinstance(objective, ClassObjective):
        targets = F.one_hot(targets, objective.outputs)
    counts = [count for count in COUNTS if count <= len(known)]
    found: dict[int, list[Tensor]] = {count: [] for count in counts}
    for start in range(0, len(rows.states[layer]), BLOCK_ROWS):
        block = F.normalize((rows.states[layer][start : start + BLOCK_ROWS].float() - mean) / deviation)
        nearest = (block @ known.T).topk(counts[-1], dim=1).indices
        for count in counts:
            found[count].append(targets[nearest[:, :count]].float().mean(1))
    return {count: torch.cat(each) for count, each in found.items()}


def few_shot_scores(
    splits: dict[str, Rows], objective: ClassObjective, layer: int, seed: int = 0
) -> list[dict[str, Any]]:
    """Logistic regression on the features of a layer, of n clips per class, drawn several times.

    Args:
        splits: train and test.
        objective: of classes.
        layer: the state whose features are used.
        seed: of the draws.

    Returns:
        For each n up to the size of the largest class: shots, and mean and sd of the main score on test.
    """
    train, test = splits["train"], splits["test"]
    features, classes = train.states[layer].float().numpy(), train.targets.numpy()
    tested = test.states[layer].float().numpy()
    largest = int(np.bincount(classes).max())
    random = np.random.default_rng(seed)
    found = []
    for shots in [shots for shots in SHOTS if shots <= largest]:
        scores = []
        for _ in range(DRAWS):
            order = random.permutation(len(classes))
            clips = np.concatenate([order[classes[order] == each][:shots] for each in np.unique(classes)])
            rows = np.flatnonzero(np.isin(train.clip_of_row.numpy(), clips))
            scaler = StandardScaler().fit(features[rows])
            model = LogisticRegression(max_iter=1000)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="The number of unique classes")  # one clip per class
                model.fit(scaler.transform(features[rows]), classes[train.clip_of_row.numpy()[rows]])
            outputs = np.full((len(tested), objective.outputs), NEVER)
            outputs[:, model.classes_] = model.predict_log_proba(scaler.transform(tested))
            scores.append(objective.score(torch.from_numpy(outputs), test)[objective.monitor_name])
        found.append({"shots": shots, "mean": float(np.mean(scores)), "sd": float(np.std(scores, ddof=1))})
    return found
