"""Properties of a batch that are known on the CPU: clip lengths and frame padding; and copies to the device.

Reading a value from the device waits until the device has finished its work. So lengths stay on the CPU.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mert_fairseq.frames import ConvLayer, num_conv_frames

# Shape letters: B batch, T samples, F frames.


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Copy an array to the device without waiting for the device's earlier work."""
    return torch.from_numpy(array).to(device, non_blocking=True)


class FramePadding(NamedTuple):
    """The frame padding of a batch.

    Attributes:
        mask: (B, F) bool on the device, True for padding.
        counts: (B,) frames of each clip before its padding, on the CPU.
    """

    mask: Tensor
    counts: np.ndarray

    @classmethod
    def from_counts(cls, counts: np.ndarray, frames: int, device: torch.device) -> "FramePadding":
        """Padding of ``frames`` frames, of which the first ``counts[b]`` belong to clip b; counts (B,)."""
        return cls(to_device(np.arange(frames) >= counts[:, None], device), counts)


def clip_lengths(padding_mask: Tensor | None, lengths: np.ndarray | None = None) -> np.ndarray | None:
    """Samples of each clip before its padding, (B,) int64; None without padding.

    Args:
        padding_mask: (B, T) bool, True after the end of a clip. Reading it waits for the device.
        lengths: (B,) the same as numbers, if the batch contains them.
    """
    if padding_mask is None:
        return None
    return (~padding_mask).sum(1).cpu().numpy() if lengths is None else np.asarray(lengths)


def frame_counts(lengths: np.ndarray, samples: int, frames: int, layers: list[ConvLayer], exact: bool) -> np.ndarray:
    """Frames of each clip before its padding, (B,), in a padded batch of ``samples`` samples and ``frames`` frames.

    Args:
        lengths: (B,) samples of each clip before its padding.
        samples: of the longest clip.
        frames: of the longest clip, that have targets.
        layers: of the conv stack.
        exact: count as if each clip were alone; otherwise as in the published training.
    """
    counts = exact_frame_counts(lengths, layers) if exact else published_frame_counts(lengths, samples, frames)
    return np.minimum(counts, frames)


def exact_frame_counts(lengths: np.ndarray, layers: list[ConvLayer]) -> np.ndarray:
    """Frames that the conv stack computes from each clip without padding, (B,)."""
    return np.array([num_conv_frames(int(samples), layers) for samples in lengths])


def published_frame_counts(lengths: np.ndarray, samples: int, frames: int) -> np.ndarray:
    """Frames of each clip as fairseq's HuBERT counts them, (B,): up to one more than ``exact_frame_counts``.

    HuBERT divides the ``samples`` of the batch into ``frames`` equal segments. A frame counts if its segment contains a
    real sample, even if the conv stack also sees padding there.
    """
    return -(-lengths // (samples // frames))
