"""Waves before the conv stack: conversion to float, normalisation, and the in-batch mixture."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mert_fairseq.audio import FULL_SCALE
from mert_fairseq.modules import batch, clip_rng

# Shape letters: B batch, T samples, S snippets per clip.

NORM_EPSILON = 1e-5  # as in torch's layer_norm


def float_wave(source: Tensor) -> Tensor:
    """Convert int16 PCM, or floats in [-1, 1] of any precision, to float32 in [-1, 1]."""
    return source.float() if source.is_floating_point() else source.float() / FULL_SCALE


def standardised(wave: Tensor, padding_mask: Tensor | None = None) -> Tensor:
    """Scale each clip to zero mean and unit variance, as fairseq does with ``task.normalize``.

    Args:
        wave: (B, T) float32.
        padding_mask: (B, T) bool, True for padding, which is excluded from the statistics and set to zero; or None.
    """
    if padding_mask is None:
        return F.layer_norm(wave, wave.shape[1:], eps=NORM_EPSILON)
    real = ~padding_mask
    count = real.sum(1, keepdim=True)
    centred = (wave - (wave * real).sum(1, keepdim=True) / count) * real
    return centred / (centred.pow(2).sum(1, keepdim=True) / count + NORM_EPSILON).sqrt()


@dataclass(frozen=True)
class Mixture:
    """The in-batch mixture augmentation of MERT (arXiv:2306.00107): adds snippets of other clips to a clip.

    Attributes:
        prob: probability that a clip is mixed; 0 or less for never.
        snippet_samples: shortest and longest snippet, in samples.
        snippets: minimum and maximum number of snippets per mixed clip.
        volume: factor on the snippets.

    Raises:
        ValueError: if a range or the probability is invalid.
    """

    prob: float
    snippet_samples: tuple[int, int] = (8000, 24000)
    snippets: tuple[int, int] = (1, 3)
    volume: float = 1.0

    def __post_init__(self) -> None:
        for name, pair in (
            ("inbatch_noise_augment_len_range", self.snippet_samples),
            ("inbatch_noise_augment_number_range", self.snippets),
        ):
            if len(pair) != 2 or not 1 <= pair[0] <= pair[1]:
                raise ValueError(f"{name} is {list(pair)}, expected [least, most] with 1 <= least <= most.")
        if self.prob > 1:
            raise ValueError(f"mixture_prob is {self.prob}, expected a probability, or -1 for no mixture.")

    def __call__(self, wave: Tensor, clip_seeds: np.ndarray, lengths: np.ndarray | None = None) -> Tensor:
        """Mix the clips of a batch into each other.

        Args:
            wave: (B, T) float, not changed.
            clip_seeds: (B,); the random numbers of a clip depend only on its seed.
            lengths: (B,) samples before each clip's padding, on the CPU. Snippets neither come from padding nor are
                added to it.

        Returns:
            (B, T); the input itself if the batch has one clip or ``prob`` is 0 or less.
        """
        clips, samples = wave.shape
        if self.prob <= 0 or clips < 2:
            return wave
        lengths = np.full(clips, samples) if lengths is None else lengths
        mixed, used, donor, length, source, target = self._sample(clip_seeds)
        donor = (np.arange(clips)[:, None] + 1 + np.floor(donor * (clips - 1)).astype(int)) % clips
        least, most = self.snippet_samples
        length = np.floor(least + length * (most - least + 1)).astype(int)
        length = np.minimum(length, np.minimum(lengths[donor], lengths[:, None]))
        source_start = np.floor(source * (lengths[donor] - length + 1)).astype(int)
        target_start = np.floor(target * (lengths[:, None] - length + 1)).astype(int)
        length = np.where(mixed & used, length, 0)
        snippets = np.stack([donor, length, source_start, target_start])  # one copy to the device instead of four
        return self._add(wave, *batch.to_device(snippets, wave.device).unbind())

    def _sample(self, clip_seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        """Which clips are mixed (B, 1) bool, which snippets are used (B, S) bool, and four uniforms (B, S)."""
        least, most = self.snippets
        u = clip_rng.uniforms(clip_seeds, clip_rng.MIXTURE, 2 + 4 * most)
        number = least + np.floor(u[:, 1:2] * (most - least + 1))
        return u[:, :1] < self.prob, np.arange(most) < number, *np.split(u[:, 2:], 4, axis=1)

    def _add(self, wave: Tensor, donor: Tensor, length: Tensor, source_start: Tensor, target_start: Tensor) -> Tensor:
        """Add ``length[b, s]`` samples of clip ``donor[b, s]`` to each clip b; all but the wave are (B, S)."""
        time = torch.arange(wave.size(1), device=wave.device)
        result = wave.clone()
        for s in range(donor.size(1)):
            offset = time - target_start[:, s, None]
            inside = (offset >= 0) & (offset < length[:, s, None])
            snippet = wave[donor[:, s]].gather(1, (offset + source_start[:, s, None]).clamp(0, wave.size(1) - 1))
            result += self.volume * snippet * inside
        return result
