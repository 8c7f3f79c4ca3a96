"""k nearest neighbours: what features say without any training."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mert_fairseq.probing.objectives import ClassObjective, Objective
from mert_fairseq.probing.rows import Rows

COUNTS = (1, 5, 10, 20)
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
