"""Waves as models hear them: floats, and of unit variance for models that were trained so."""

import torch.nn.functional as F
from torch import Tensor

from mert_fairseq.audio import FULL_SCALE

NORM_EPSILON = 1e-5  # of torch's layer_norm


def float_wave(source: Tensor) -> Tensor:
    """int16 PCM, or floats in [-1, 1] of any precision, to float32 in [-1, 1]."""
    return source.float() if source.is_floating_point() else source.float() / FULL_SCALE


def standardised(wave: Tensor, padding_mask: Tensor | None = None) -> Tensor:
    """Each clip with zero mean and unit variance, fairseq's ``task.normalize``.

    Args:
        wave: (B, T) float32.
        padding_mask: (B, T) bool, True for padding, which counts for nothing and comes out as zero; None for none.
    """
    if padding_mask is None:
        return F.layer_norm(wave, wave.shape[1:], eps=NORM_EPSILON)
    real = ~padding_mask
    count = real.sum(1, keepdim=True)
    centred = (wave - (wave * real).sum(1, keepdim=True) / count) * real
    return centred / (centred.pow(2).sum(1, keepdim=True) / count + NORM_EPSILON).sqrt()
