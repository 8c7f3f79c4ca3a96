"""Any number of tags per clip: binary cross entropy, areas under the ROC and precision-recall curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn import metrics
from torch import Tensor

from mert_fairseq.probing.objectives.base import Objective, ranking_auc
from mert_fairseq.probing.probe_data import Clip
from mert_fairseq.probing.rows import Rows


class TagObjective(Objective):
    """Targets are collections of tag names; the outputs of a clip's windows are averaged before the sigmoid."""

    monitor_name = "roc_auc"

    def encode(self, clips: Sequence[Clip]) -> Tensor:
        place = {name: index for index, name in enumerate(self.names)}
        targets = torch.zeros(len(clips), self.outputs)
        for row, clip in enumerate(clips):
            if unknown := [tag for tag in clip.target if tag not in place]:
                raise ValueError(f"{clip.id}: found the tag {unknown[0]!r}, expected some of {', '.join(self.names)}.")
            targets[row, [place[tag] for tag in clip.target]] = 1
        return targets

    def check_training(self, targets: Tensor) -> None:
        counts = targets.sum(0)
        if len(bad := ((counts == 0) | (counts == len(targets))).nonzero()):
            name, count = self.names[int(bad[0])], int(counts[bad[0]])
            raise ValueError(
                f"the tag {name!r} is on {count} of {len(targets)} training clips (and {len(bad) - 1} more tags are on "
                f"none or all), expected each tag on some clips and not on others. Check the labels and split lists."
            )

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(2)

    def fast_score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return ranking_auc(outputs, targets).nanmean(1)

    def per_tag(self, outputs: Tensor, rows: Rows) -> list[dict[str, Any]]:
        """ROC-AUC and average precision of each tag; None for a tag that this split lacks or that all clips have."""
        said, true = self.unit_outputs(outputs, rows), rows.unit_targets.numpy()
        found = []
        for column, name in enumerate(self.names):
            clips = int(true[:, column].sum())
            whole = 0 < clips < len(true)
            roc = float(metrics.roc_auc_score(true[:, column], said[:, column])) if whole else None
            ap = float(metrics.average_precision_score(true[:, column], said[:, column])) if whole else None
            found.append({"tag": name, "clips": clips, "roc_auc": roc, "average_precision": ap})
        return found

    def score(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> dict[str, float]:
        tags = [tag for tag in self.per_tag(outputs, rows) if tag["roc_auc"] is not None]
        return {
            "roc_auc": float(np.mean([tag["roc_auc"] for tag in tags])) if tags else np.nan,
            "average_precision": float(np.mean([tag["average_precision"] for tag in tags])) if tags else np.nan,
        }
