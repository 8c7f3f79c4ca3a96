"""One class per clip: cross entropy and accuracy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn import metrics
from torch import Tensor

from mert_fairseq.probing.objectives.base import Objective
from mert_fairseq.probing.probe_data import Clip
from mert_fairseq.probing.rows import Rows


class ClassObjective(Objective):
    """Targets are class names; the outputs of a clip's windows are averaged before the softmax."""

    monitor_name = "accuracy"

    def encode(self, clips: Sequence[Clip]) -> Tensor:
        place = {name: index for index, name in enumerate(self.names)}
        for clip in clips:
            if clip.target not in place:
                raise ValueError(
                    f"{clip.id}: found the class {clip.target!r}, expected one of {', '.join(self.names)}."
                )
        return torch.tensor([place[clip.target] for clip in clips])

    def check_training(self, targets: Tensor) -> None:
        if len(found := targets.unique()) < 2:
            raise ValueError(
                f"the training split has only the class {self.names[int(found[0])]!r}, expected at least 2 classes. "
                f"Check the labels and the split lists."
            )

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)

    def fast_score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(2) == targets).double().mean(1)

    def score(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> dict[str, float]:
        predicted, true = self.unit_outputs(outputs, rows, tuned).argmax(1), rows.unit_targets.numpy()
        return {
            "accuracy": float(metrics.accuracy_score(true, predicted)),
            "macro_f1": float(metrics.f1_score(true, predicted, average="macro", zero_division=0)),
        }

    def shares(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> np.ndarray | None:
        right = self.unit_outputs(outputs, rows, tuned).argmax(1) == rows.unit_targets.numpy()
        return np.stack([right, np.ones_like(right)], 1).astype(np.float64)
