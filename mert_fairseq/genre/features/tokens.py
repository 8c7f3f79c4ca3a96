"""Feature tokens: how the numbers of a track become tokens, batches and vectors. One token per feature and statistic.

FMA has 518 numbers per track. Its 11 features x 7 statistics make G = 77 tokens of 1 to 20 numbers, zero-padded to
W = 20:

    (518,) -> (77, 20)      mfcc/mean: 20 numbers, chroma_cens/std: 12, zcr/skew: 1, ...

Echonest's groups follow as additional tokens for the tracks that Echonest analysed. Groups longer than W are split.

Shape letters: B batch, N tokens in a batch, G tokens in total, W numbers per token, D model width.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mert_fairseq.genre.vocabulary import GenreVocabulary

WIDTH = 20  # numbers per token: that of MFCC, the largest of FMA's features


class TokenLayout(NamedTuple):
    """Assigns the numbers of a track to tokens.

    Attributes:
        names: of the G tokens, such as mfcc/mean.
        sizes: numbers in each, 1 to WIDTH.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of_columns(cls, columns: Sequence[str]) -> "TokenLayout":
        """Columns a/b/01, a/b/02, ... make the token a/b. Adjacent columns of a group share a token, at most WIDTH."""
        names, sizes = [], []
        for group, members in groupby(columns, key=lambda column: column.rpartition("/")[0]):
            left, part = len(list(members)), 0
            while left:
                names.append(f"{group}/{part}" if part else group)
                sizes.append(min(left, WIDTH))
                left, part = left - sizes[-1], part + 1
        return cls(tuple(names), tuple(sizes))

    @classmethod
    def of_components(cls, count: int) -> "TokenLayout":
        """Tokens of WIDTH principal components each."""
        return cls.of_columns([f"pca/{number}" for number in range(count)])

    def expand(self, values: np.ndarray) -> np.ndarray:
        """Expand (C,) numbers, C the sum of the sizes, to (G, WIDTH) zero-padded float32 tokens."""
        tokens = np.zeros((len(self.sizes), WIDTH), np.float32)
        tokens[np.arange(WIDTH) < np.array(self.sizes)[:, None]] = values
        return tokens


class FeatureTokens(nn.Module):
    """Projects each of G tokens of up to W numbers to the width of the model.

    Token g with n_g numbers x becomes x P_g + e_g, with its own projection P_g (n_g, D) and its own embedding e_g (D,).
    Tokens are in the order of the layout; a track may lack the last ones.

    Args:
        sizes: n_g, numbers in each token, 1 to ``max_size``.
        width: D.
        max_size: W, the padded length of a token.
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


class CollateFunctionWrapper:
    """The ``collate_fn`` of a DataLoader: batches of B tracks, N tokens of W numbers, K genres.

    Args:
        vocabulary: encodes the genres.
        multi_label: targets are (B, K) of 0 and 1 instead of (B,) classes.
    """

    def __init__(self, vocabulary: GenreVocabulary, multi_label: bool = False) -> None:
        self.vocabulary, self.multi_label = vocabulary, multi_label

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Make a batch.

        Args:
            items: id, tokens (n, W) float32 and genres (titles) of each track; n may differ.

        Returns:
            id (B,) int64; net_input: tokens (B, N, W) float32, N the largest n, zero-padded, and padding_mask (B, N)
            bool, True for padding, or None without padding; target (B,) int64 or (B, K) float32.

        Raises:
            KeyError: if a genre is not in the vocabulary.
        """
        if not items:
            return {}
        lengths = torch.tensor([len(item["tokens"]) for item in items])
        tokens = torch.nn.utils.rnn.pad_sequence([torch.as_tensor(i["tokens"]) for i in items], batch_first=True)
        padding = torch.arange(tokens.size(1)) >= lengths[:, None]
        return {
            "id": torch.tensor([item["id"] for item in items]),
            "net_input": {"tokens": tokens, "padding_mask": padding if padding.any() else None},
            "target": self._target([item["genres"] for item in items]),
        }

    def _target(self, genres: Sequence[Sequence[str]]) -> torch.Tensor:
        if self.multi_label:
            return torch.from_numpy(np.stack([self.vocabulary.multi_hot(titles) for titles in genres]))
        return torch.tensor([self.vocabulary.encode(titles) for titles in genres])
