"""Waves of several lengths in one array."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def pad_waves(waves: Sequence[np.ndarray]) -> tuple[Tensor, Tensor | None]:
    """Put zeros after the shorter ones.

    Args:
        waves: B, each (T',), all of one type.

    Returns:
        (B, T) of that type, and where it is padding, (B, T) bool, or None where nothing is.
    """
    padded = np.zeros((len(waves), max(map(len, waves))), dtype=waves[0].dtype)
    padding = np.ones(padded.shape, dtype=bool)
    for row, wave in enumerate(waves):
        padded[row, : len(wave)] = wave
        padding[row, : len(wave)] = False
    return torch.from_numpy(padded), torch.from_numpy(padding) if padding.any() else None
