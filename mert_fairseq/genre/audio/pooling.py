"""Weighted sum of layers and pooling of frames: one vector per clip."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Shape letters: B clips, F frames, D model width, N layers.


class WeightedLayerSum(nn.Module):
    """A learnt weighted sum of layers. The weights are a softmax and start equal.

    Frames of each layer are first normalised to zero mean and unit variance, because in pre-norm models the outputs
    grow with depth. So weights are comparable between layers.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(layers))

    def weights(self) -> Tensor:
        """(N,) weights that sum to 1."""
        return self.logits.float().softmax(0)

    def forward(self, layers: Sequence[Tensor]) -> Tensor:
        """Sum N tensors (B, F, D) into one (B, F, D)."""
        weights = self.weights().to(layers[0].dtype)
        return torch.einsum("n,nbfd->bfd", weights, torch.stack([F.layer_norm(x, x.shape[-1:]) for x in layers]))


class MeanPooling(nn.Module):
    """The mean over the frames of a clip, without padding."""

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Pool (B, F, D), with padding (B, F) bool or None, to (B, D)."""
        if padding is None:
            return x.mean(1)
        real = (~padding).unsqueeze(-1)
        return (x * real).sum(1) / real.sum(1)


class AttentionPooling(nn.Module):
    """A mean over the frames of a clip, weighted by a learnt query, without padding. Starts as the plain mean."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Pool (B, F, D), with padding (B, F) bool or None, to (B, D)."""
        scores = self.score(x).squeeze(-1).float()
        if padding is not None:
            scores = scores.masked_fill(padding, -torch.inf)
        return torch.bmm(scores.softmax(1).to(x.dtype).unsqueeze(1), x).squeeze(1)


def build_pooling(name: str, width: int) -> nn.Module:
    """Build the pooling ``mean`` or ``attention``.

    Raises:
        ValueError: if the name is unknown.
    """
    match name:
        case "mean":
            return MeanPooling()
        case "attention":
            return AttentionPooling(width)
    raise ValueError(f"model.pooling is {name!r}, expected 'mean' or 'attention'.")
