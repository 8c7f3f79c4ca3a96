"""Musical keys: classes whose neighbours count in part (``mir_eval.key.weighted_score``)."""

from collections.abc import Sequence
from typing import Any

import mir_eval
import numpy as np
import torch
import torch.nn.functional as F
from sklearn import metrics
from torch import Tensor

from mert_fairseq.probing.objectives.classes import ClassObjective
from mert_fairseq.probing.rows import Rows

PITCH_CLASSES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
KEYS = tuple(f"{tonic} {mode}" for mode in ("major", "minor") for tonic in PITCH_CLASSES)
ENHARMONIC = {"C#": "Db", "D#": "Eb", "F#": "Gb", "G#": "Ab", "A#": "Bb"}
AGGREGATIONS = ("vote", "max", "gmean", "mean")


class KeyObjective(ClassObjective):
    """24 keys, scored per song; how a song's clips are combined is chosen on validation.

    The four ways of MARBLE: vote (the most frequent class of the clips), max (maximum of the outputs), gmean (mean of
    the outputs, that is the geometric mean of the probabilities), mean (mean of the probabilities).
    """

    monitor_name = "weighted_score"

    def __init__(self, names: Sequence[str] = KEYS, aggregations: Sequence[str] = AGGREGATIONS) -> None:
        super().__init__(names)
        self.aggregations = tuple(aggregations)
        # [reference, estimate]
        weights = [[mir_eval.key.weighted_score(reference, estimate) for estimate in names] for reference in names]
        self.weights = torch.tensor(weights, dtype=torch.float64)

    def combine(self, outputs: Tensor, rows: Rows, how: str) -> Tensor:
        """(R, W, K) outputs of windows to (R, U, K) of songs, by one of AGGREGATIONS."""
        if how == "gmean":
            return rows.unit_means(outputs)
        if how == "mean":
            return rows.unit_means(outputs.softmax(2))
        if how == "vote":
            return rows.unit_means(F.one_hot(outputs.argmax(2), self.outputs).to(outputs.dtype))
        units = rows.unit_of_row.to(outputs.device)[None, :, None].expand_as(outputs)
        lowest = outputs.new_full((outputs.shape[0], len(rows.units), self.outputs), -torch.inf)
        return lowest.scatter_reduce_(1, units, outputs, "amax")

    def fast_score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.weights.to(outputs.device)[targets, outputs.argmax(2)].mean(1)

    def _all_ways(self, outputs: Tensor, rows: Rows) -> Tensor:
        targets = rows.unit_targets.to(outputs.device)
        return torch.stack([self.fast_score(self.combine(outputs, rows, how), targets) for how in self.aggregations])

    def monitor(self, outputs: Tensor, rows: Rows) -> Tensor:
        return self._all_ways(outputs, rows).amax(0)

    def tune(self, outputs: Tensor, rows: Rows) -> str:
        return self.aggregations[int(self._all_ways(outputs[None], rows)[:, 0].argmax())]

    def unit_outputs(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> np.ndarray:
        return self.combine(outputs[None], rows, tuned or "gmean")[0].double().cpu().numpy()

    def score(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> dict[str, float]:
        predicted, true = self.unit_outputs(outputs, rows, tuned).argmax(1), rows.unit_targets.numpy()
        pairs = zip(true, predicted, strict=True)
        return {
            "weighted_score": float(
                np.mean([mir_eval.key.weighted_score(self.names[r], self.names[e]) for r, e in pairs])
            ),
            "accuracy": float(metrics.accuracy_score(true, predicted)),
        }

    def shares(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> np.ndarray | None:
        predicted = torch.from_numpy(self.unit_outputs(outputs, rows, tuned).argmax(1))
        weights = self.weights[rows.unit_targets, predicted].numpy()
        return np.stack([weights, np.ones_like(weights)], 1)
