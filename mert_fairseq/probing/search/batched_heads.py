"""Many small heads as one model, with their optimizer: every parameter has a leading dimension of runs."""

from collections.abc import Sequence

import torch
from torch import Tensor

# Shape letters: R runs, B rows of a batch, D width, H hidden units, K outputs, L layers of the weighted sum.

Parameters = dict[str, Tensor]


def start_heads(
    seeds: Sequence[int], width: int, outputs: int, *, hidden: int = 0, mixed_layers: int = 0, device: str = "cpu"
) -> Parameters:
    """Parameters of R heads, initialised as torch.nn.Linear does; equal seeds start equal.

    Args:
        seeds: of the R runs.
        width: D.
        outputs: K.
        hidden: H, or 0 for linear heads.
        mixed_layers: L of the weighted sum, whose weights start as standard normal noise; 0 for single layers.
        device: of the parameters.

    Returns:
        ``mix`` (R, L), ``w1`` (R, D, H), ``b1`` (R, 1, H), ``w2`` (R, H, K), ``b2`` (R, 1, K); linear heads have w2 of
        (R, D, K) and no w1; single layers have no mix.
    """
    drawn = {seed: _start(seed, width, outputs, hidden, mixed_layers) for seed in set(seeds)}
    names = drawn[seeds[0]].keys()
    return {name: torch.stack([drawn[seed][name] for seed in seeds]).to(device).requires_grad_(True) for name in names}


def _start(seed: int, width: int, outputs: int, hidden: int, mixed_layers: int) -> Parameters:
    generator = torch.Generator().manual_seed(seed)

    def uniform(inputs: int, *shape: int) -> Tensor:
        return (torch.rand(*shape, generator=generator) * 2 - 1) * inputs**-0.5

    found: Parameters = {}
    if mixed_layers:
        found["mix"] = torch.randn(mixed_layers, generator=generator)
    if hidden:
        found["w1"], found["b1"] = uniform(width, width, hidden), uniform(width, 1, hidden)
    inputs = hidden or width
    found["w2"], found["b2"] = uniform(inputs, inputs, outputs), uniform(inputs, 1, outputs)
    return found


def apply_heads(heads: Parameters, features: Tensor, mask: Tensor | None = None, precision: str = "float32") -> Tensor:
    """Outputs of all heads.

    Args:
        heads: parameters of R runs.
        features: (R, B, D).
        mask: (R, B, H), or (R, B, D) for linear heads: factors of dropout; None without dropout. Dropout
            before or after the ReLU has the same result.
        precision: of the matrix products.

    Returns:
        (R, B, K) float32.
    """
    hidden = features
    with torch.autocast(features.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        if "w1" in heads:
            hidden = torch.baddbmm(heads["b1"], features, heads["w1"]).relu()
        if mask is not None:
            hidden = hidden * mask
        return torch.baddbmm(heads["b2"], hidden, heads["w2"]).float()


class BatchedAdam:
    """torch.optim.Adam without weight decay, for R runs at once.

    Each run is a parameter group whose tensors are slices of the batched ones, so that a run's state stays in the
    cache during its update. The update itself is torch's.

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
        """Keep only these runs: indices, ascending."""
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
