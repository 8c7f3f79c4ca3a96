"""Feature tokens to vectors: a projection and an embedding of its own for each token."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Shape letters: B batch, N tokens of a batch, G tokens in all, W numbers a token, D model width.


class FeatureTokens(nn.Module):
    """Projects each of G groups of up to W numbers to the model's width.

    Token g of n_g numbers x becomes x P_g + e_g: a projection (n_g, D) and an embedding (D,) of its own, so that what a
    number is follows from its place. Tokens stand in the order of the layout; a track may lack the last ones.

    Args:
        sizes: n_g, numbers in each token, 1 to ``max_size``.
        width: D.
        max_size: W, to which tokens are zero-padded.
    """

    def __init__(self, sizes: Sequence[int], width: int, max_size: int) -> None:
        super().__init__()
        scale = torch.tensor([size**-0.5 for size in sizes])[:, None, None]  # outputs of variance 1
        self.projection = nn.Parameter(torch.randn(len(sizes), max_size, width) * scale)
        self.embedding = nn.Parameter(torch.randn(len(sizes), width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, N, W), N at most G, to (B, N, D)."""
        count = tokens.size(1)
        return torch.einsum("bnw,nwd->bnd", tokens, self.projection[:count]) + self.embedding[:count]
