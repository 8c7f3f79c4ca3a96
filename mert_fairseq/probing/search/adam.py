"""Adam over batched parameters, with a learning rate for each run."""

import torch
from torch import Tensor

from mert_fairseq.probing.search.heads import Parameters

BETAS = (0.9, 0.999)
EPSILON = 1e-8
LARGE = 1 << 16  # elements; larger parameters are updated run by run, which keeps them in a CPU's cache


class BatchedAdam:
    """torch.optim.Adam without weight decay, for R runs at once.

    Args:
        heads: parameters whose first dimension is R.
        rates: (R,) learning rates; change them in place.
    """

    def __init__(self, heads: Parameters, rates: Tensor) -> None:
        self.heads, self.rates, self.steps = heads, rates, 0
        self.first = {name: torch.zeros_like(value) for name, value in heads.items()}
        self.second = {name: torch.zeros_like(value) for name, value in heads.items()}

    @torch.no_grad()
    def step(self) -> None:
        """Update the parameters from their gradients, and drop the gradients."""
        self.steps += 1
        for name, value in self.heads.items():
            if value.grad is None:
                raise RuntimeError(f"the parameter {name} has no gradient")
            first, second, gradient = self.first[name], self.second[name], value.grad
            if value.device.type == "cpu" and value[0].numel() >= LARGE:
                for run, rate in enumerate(self.rates.tolist()):
                    self._update(value[run], gradient[run], first[run], second[run], rate)
            else:
                rates = self.rates.view(-1, *[1] * (value.dim() - 1))
                self._update(value, gradient, first, second, rates)
            value.grad = None

    def _update(self, value: Tensor, gradient: Tensor, first: Tensor, second: Tensor, rate: Tensor | float) -> None:
        first.lerp_(gradient, 1 - BETAS[0])
        second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        size = second.sqrt().div_((1 - BETAS[1] ** self.steps) ** 0.5).add_(EPSILON)
        step = rate / (1 - BETAS[0] ** self.steps)
        if isinstance(step, Tensor):
            value.sub_(step * first / size)
        else:
            value.addcdiv_(first, size, value=-step)

    def keep(self, runs: Tensor) -> None:
        """Go on with some of the runs: indices, ascending."""
        for states in (self.first, self.second):
            for name in states:
                states[name] = states[name][runs]
        for name, value in self.heads.items():
            self.heads[name] = value.detach()[runs].requires_grad_(True)
        self.rates = self.rates[runs]
