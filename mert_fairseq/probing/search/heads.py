"""Many small heads as one model: every parameter has a leading dimension of runs."""

from collections.abc import Sequence

import torch
from torch import Tensor

# Shape letters: R runs, B rows of a batch, D width, H hidden units, K outputs, L layers of the weighted sum.

Parameters = dict[str, Tensor]


def start_heads(
    seeds: Sequence[int], width: int, outputs: int, *, hidden: int = 0, mixed_layers: int = 0, device: str = "cpu"
) -> Parameters:
    """Parameters of R heads, drawn as torch.nn.Linear draws its own; equal seeds start equal.

    Args:
        seeds: of the R runs.
        width: D.
        outputs: K.
        hidden: H, or 0 for linear heads.
        mixed_layers: L of the weighted sum, whose weights start as standard normal noise; 0 for single layers.
        device: where they lie.

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
        mask: (R, B, H), or (R, B, D) for linear heads: what dropout multiplies with; None without dropout. Dropout
            before or after the ReLU gives the same numbers.
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
