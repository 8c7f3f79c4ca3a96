"""Tracks to a batch: padded tokens, encoded genres."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mert_fairseq.genre.vocabulary import GenreVocabulary


class CollateFunctionWrapper:
    """Makes batches of B tracks, N tokens of W numbers, K genres; ``collate_fn`` of a DataLoader.

    Args:
        vocabulary: encodes the genres.
        several_genres: targets are (B, K) of 0 and 1 in place of (B,) classes.
    """

    def __init__(self, vocabulary: GenreVocabulary, several_genres: bool = False) -> None:
        self.vocabulary, self.several_genres = vocabulary, several_genres

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Make a batch.

        Args:
            items: id, tokens (n, W) float32 and genres (titles) of each track; n may differ.

        Returns:
            id (B,) int64; net_input: tokens (B, N, W) float32, N the largest n, zero-padded, and padding_mask (B, N)
            bool, True for padding, or None where there is none; target (B,) int64 or (B, K) float32.

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
        if self.several_genres:
            return torch.from_numpy(np.stack([self.vocabulary.several_hot(titles) for titles in genres]))
        return torch.tensor([self.vocabulary.one_of(titles) for titles in genres])
