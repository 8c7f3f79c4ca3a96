"""Early stopping and torch's ReduceLROnPlateau, for R runs at once."""

import torch
from torch import Tensor

THRESHOLD = 1e-4  # relative; ReduceLROnPlateau counts only larger gains
FACTOR = 0.5


class Progress:
    """The state of R runs; higher scores are better.

    Args:
        runs: R.
        lr_patience: epochs without a gain before the learning rate is halved.
        stop_patience: epochs without a better score before a run ends.
    """

    def __init__(self, runs: int, lr_patience: int, stop_patience: int) -> None:
        self.lr_patience, self.stop_patience = lr_patience, stop_patience
        self.best = torch.full((runs,), -torch.inf, dtype=torch.float64)
        self.plateau_best = self.best.clone()
        self.since_best = torch.zeros(runs, dtype=torch.int64)
        self.since_gain = torch.zeros(runs, dtype=torch.int64)

    def update(self, scores: Tensor, rates: Tensor) -> Tensor:
        """Record the scores of an epoch, and halve learning rates in place.

        Args:
            scores: (R,); NaN is worse than any number.
            rates: (R,) learning rates.

        Returns:
            (R,) bool: which runs reached a new best score.
        """
        scores = scores.double().cpu().nan_to_num(nan=-torch.inf)
        improved = scores > self.best
        self.best = torch.where(improved, scores, self.best)
        self.since_best = torch.where(improved, 0, self.since_best + 1)
        # torch's rule for mode "max": better than best x (1 + threshold)
        gained = (scores > self.plateau_best * (1 + THRESHOLD)) | (self.plateau_best.isinf() & scores.isfinite())
        self.plateau_best = torch.where(gained, scores, self.plateau_best)
        self.since_gain = torch.where(gained, 0, self.since_gain + 1)
        lower = self.since_gain > self.lr_patience
        rates[lower.to(rates.device)] *= FACTOR
        self.since_gain[lower] = 0
        return improved

    @property
    def running(self) -> Tensor:
        """(R,) bool: which runs continue."""
        return self.since_best < self.stop_patience

    def keep(self, runs: Tensor) -> None:
        """Keep only these runs, given by index."""
        for name in ("best", "plateau_best", "since_best", "since_gain"):
            setattr(self, name, getattr(self, name)[runs])
