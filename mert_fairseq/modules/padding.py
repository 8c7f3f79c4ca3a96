"""Which frames of a batch are padding, from the lengths of its clips."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mert_fairseq.frames import ConvLayer, num_conv_frames
from mert_fairseq.modules import clip_rng

# Shape letters: B batch, T samples, F frames.


class FramePadding(NamedTuple):
    """The padding of a batch.

    Attributes:
        mask: (B, F) bool on the device, True for padding.
        counts: (B,) frames of each clip before its padding, on the CPU, so that nothing waits for the device.
    """

    mask: Tensor
    counts: np.ndarray

    @classmethod
    def of(cls, counts: np.ndarray, frames: int, device: torch.device) -> "FramePadding":
        """The padding behind ``counts`` (B,) of ``frames`` frames."""
        counts = np.minimum(counts, frames)
        return cls(clip_rng.to_device(np.arange(frames) >= counts[:, None], device), counts)


def clip_lengths(padding_mask: Tensor | None, lengths: np.ndarray | None = None) -> np.ndarray | None:
    """Samples of each clip before its padding, (B,) int64; None without padding.

    Args:
        padding_mask: (B, T) bool, True where a clip has ended. Reading it waits for the device.
        lengths: the same as numbers, if the batch brings them.
    """
    if padding_mask is None:
        return None
    return (~padding_mask).sum(1).cpu().numpy() if lengths is None else np.asarray(lengths)


def exact_counts(lengths: np.ndarray, layers: list[ConvLayer]) -> np.ndarray:
    """Frames that the conv stack makes of each clip alone, (B,)."""
    return np.array([num_conv_frames(int(samples), layers) for samples in lengths])


def published_counts(lengths: np.ndarray, samples: int, frames: int) -> np.ndarray:
    """Frames of each clip as fairseq's HuBERT counts them, (B,): up to one more than ``exact_counts``.

    HuBERT cuts the batch's ``samples`` into ``frames`` equal stretches. A frame whose stretch holds any real sample
    counts, though part of what the conv stack sees there may be padding.
    """
    return -(-lengths // (samples // frames))
