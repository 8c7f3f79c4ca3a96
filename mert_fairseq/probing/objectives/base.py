"""An objective: targets from labels, the loss of many heads at once, a score to choose by, and the final scores."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mert_fairseq.probing.probe_data import Clip
from mert_fairseq.probing.rows import Rows

# Shape letters: R heads trained together, W rows, K outputs, U scored units.


class Objective(ABC):
    """The training objective of a task's heads.

    Attributes:
        names: of the K outputs.
        monitor_name: the score by which epochs, layers and learning rates are chosen; higher is better.
        frames: whether every frame has its own target.
    """

    monitor_name: str
    frames = False

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    @property
    def outputs(self) -> int:
        """K, the outputs of a head."""
        return len(self.names)

    @abstractmethod
    def encode(self, clips: Sequence[Clip]) -> Tensor:
        """Targets of N clips, (N, ...).

        Raises:
            ValueError: if a clip has a label that is unknown.
        """

    def encode_frames(self, clips: Sequence[Clip], counts: Sequence[int], training: bool) -> Tensor:
        """Targets of the frames of N clips, (W, ...); only for ``frames``."""
        raise NotImplementedError(f"{type(self).__name__} has no targets of frames")

    @abstractmethod
    def check_training(self, targets: Tensor) -> None:
        """Check that these targets can be learnt from.

        Raises:
            ValueError: if not.
        """

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(R, W, K) outputs and (R, W, ...) targets to (R, W) losses."""

    def monitor(self, outputs: Tensor, rows: Rows) -> Tensor:
        """The score to choose by, (R,), of (R, W, K) outputs; on the device of the outputs."""
        return self.fast_score(rows.unit_means(outputs), rows.unit_targets.to(outputs.device))

    @abstractmethod
    def fast_score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The score to choose by, (R,), of (R, U, K) outputs and (U, ...) targets."""

    def tune(self, outputs: Tensor, rows: Rows) -> Any:
        """Tune what is chosen on validation besides epoch, layer and learning rate; by default nothing."""
        return None

    def unit_outputs(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> np.ndarray:
        """(U, K) outputs of the scored units, of one head's (W, K)."""
        return rows.unit_means(outputs[None])[0].double().cpu().numpy()

    @abstractmethod
    def score(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> dict[str, float]:
        """The final scores of one head's (W, K) outputs, by published libraries."""

    def shares(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> np.ndarray | None:
        """What each scored unit adds to the score named ``monitor_name``, of one head's (W, K) outputs.

        Returns:
            (U, 2): the score is the sum of the first column divided by that of the second, so that an interval over
            test clips can be had by drawing units. None for scores that are no such quotient (areas, R2).
        """
        return None


def ranking_auc(outputs: Tensor, targets: Tensor) -> Tensor:
    """Area under the ROC curve of each column, by ranks (Mann and Whitney), ties counted half.

    Args:
        outputs: (R, U, K).
        targets: (U, K) of 0 and 1.

    Returns:
        (R, K); NaN for a column that lacks either class.
    """
    ordered, places = outputs.transpose(1, 2).contiguous().sort(dim=-1)  # (R, K, U)
    low = torch.searchsorted(ordered, ordered, right=False)
    high = torch.searchsorted(ordered, ordered, right=True)
    ranks = torch.empty_like(ordered, dtype=torch.float64).scatter_(-1, places, (low + high + 1).double() / 2)
    positive = targets.T.double()
    positives, units = positive.sum(1), targets.shape[0]
    wins = (ranks * positive).sum(-1) - positives * (positives + 1) / 2
    return wins / (positives * (units - positives))
