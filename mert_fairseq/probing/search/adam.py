"""Adam over batched parameters, with a learning rate for each run: torch's fused kernel on each run's slice."""

import torch
from torch import Tensor

from mert_fairseq.probing.search.heads import Parameters


class BatchedAdam:
    """torch.optim.Adam without weight decay, for R runs at once.

    Each run is a parameter group whose tensors are slices of the batched ones, so that a run's state stays in the
    cache while it is updated, and so that the numbers are torch's own.

    Args:
        heads: parameters whose first dimension is R.
        rates: (R,) learning rates; change them in place.
    """

    def __init__(self, heads: Parameters, rates: Tensor) -> None:
        self.heads, self.rates = heads, rates
        groups = [{"params": slices, "lr": rate} for slices, rate in zip(self._slices(), rates.tolist(), strict=True)]
        self.optimizer = torch.optim.Adam(groups, fused=True)

    def _slices(self) -> list[list[Tensor]]:
        """For each run its parameters, which share memory with the batched ones."""
        runs = range(len(self.rates))
        return [[value.detach()[run].requires_grad_(True) for value in self.heads.values()] for run in runs]

    def step(self) -> None:
        """Update the parameters from their gradients, and drop the gradients."""
        for run, (group, rate) in enumerate(zip(self.optimizer.param_groups, self.rates.tolist(), strict=True)):
            group["lr"] = rate
            for part, (name, value) in zip(group["params"], self.heads.items(), strict=True):
                if value.grad is None:
                    raise RuntimeError(f"the parameter {name} has no gradient")
                part.grad = value.grad[run]
        self.optimizer.step()
        for value in self.heads.values():
            value.grad = None

    def keep(self, runs: Tensor) -> None:
        """Go on with some of the runs: indices, ascending."""
        self.rates = self.rates[runs]
        for name, value in self.heads.items():
            self.heads[name] = value.detach()[runs].requires_grad_(True)
        old = [self.optimizer.param_groups[run] for run in runs.tolist()]
        states = [[self.optimizer.state[part] for part in group["params"]] for group in old]
        self.optimizer.state.clear()
        for group, slices, moments in zip(old, self._slices(), states, strict=True):
            group["params"] = slices
            self.optimizer.state.update(zip(slices, moments, strict=True))
        self.optimizer.param_groups = old
