"""Numbers per clip, such as arousal and valence: squared error and R2."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn import metrics
from torch import Tensor

from mert_fairseq.probing.objectives.base import Objective
from mert_fairseq.probing.probe_data import Clip
from mert_fairseq.probing.rows import Rows


class ValueObjective(Objective):
    """Targets are numbers, one for each name, standardised by the task; window outputs are averaged."""

    monitor_name = "r2"

    def encode(self, clips: Sequence[Clip]) -> Tensor:
        for clip in clips:
            if len(clip.target) != self.outputs or not np.isfinite(clip.target).all():
                raise ValueError(
                    f"{clip.id}: found the values {clip.target}, expected {self.outputs} finite numbers "
                    f"({', '.join(self.names)})."
                )
        return torch.tensor([list(map(float, clip.target)) for clip in clips])

    def check_training(self, targets: Tensor) -> None:
        if (flat := (targets.std(0) == 0).nonzero()).numel():
            raise ValueError(f"all training clips have the same {self.names[int(flat[0])]}. Check the labels.")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).square().mean(2)

    def fast_score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        targets = targets.double()
        residual = (outputs.double() - targets).square().sum(1)
        return (1 - residual / (targets - targets.mean(0)).square().sum(0)).mean(1)

    def score(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> dict[str, float]:
        predicted, true = self.unit_outputs(outputs, rows), rows.unit_targets.double().numpy()
        each = metrics.r2_score(true, predicted, multioutput="raw_values")
        named = {f"r2_{name}": float(r2) for name, r2 in zip(self.names, each, strict=True)}
        return {"r2": float(np.mean(each)), **named}
