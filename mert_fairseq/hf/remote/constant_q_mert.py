"""The constant-Q transform as an input of a MERT encoder; needs torch only."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

CQT_OCTAVES = 7
CQT_LOWEST_HZ = 32.7  # C1


class ConstantQ:
    """Magnitudes of the constant-Q transform over 7 octaves from C1; kernels are made when they are first used.

    Each kernel is a tone in a periodic Hann window whose sum is 1, times the square root of its length.
    """

    def __init__(self, bins: int, sample_rate: int, hop_samples: int) -> None:
        self.bins, self.per_octave = bins, bins // CQT_OCTAVES
        self.sample_rate, self.hop_samples = sample_rate, hop_samples
        self._kernels: list = []

    def __call__(self, wave: Tensor) -> Tensor:
        """(B, T) float32 -> (B, T // hop + 1, bins) float32; silence is assumed beyond both ends."""
        if not self._kernels or self._kernels[0].device != wave.device:
            self._kernels = [self._octave(first).to(wave.device) for first in range(0, self.bins, self.per_octave)]
        frames = wave.shape[1] // self.hop_samples + 1
        octaves = []
        for kernel in self._kernels:
            half = kernel.shape[-1] // 2
            parts = F.conv1d(F.pad(wave.float(), (half, half))[:, None], kernel, stride=self.hop_samples)[..., :frames]
            octaves.append(parts.unflatten(1, (2, -1)).pow(2).sum(1).sqrt())
        return torch.cat(octaves, 1).transpose(1, 2)

    def _octave(self, first: int) -> Tensor:
        """Kernels of one octave, real parts over imaginary parts: (2 bins, 1, taps) float32."""
        quality = 1 / (2 ** (1 / self.per_octave) - 1)
        kernels = []
        for index in range(first, min(first + self.per_octave, self.bins)):
            hertz = CQT_LOWEST_HZ * 2 ** (index / self.per_octave)
            length = math.ceil(quality * self.sample_rate / hertz)
            time = torch.arange(length, dtype=torch.float64) - length // 2 - length % 2
            window = torch.hann_window(length, dtype=torch.float64)
            angle = 2 * math.pi * hertz / self.sample_rate * time
            kernels.append(torch.stack([angle.cos(), angle.sin()]) * window / window.sum() * length**0.5)
        taps = max(kernel.shape[1] for kernel in kernels)
        taps += taps % 2
        centred = []
        for kernel in kernels:
            length = kernel.shape[1]
            lead = taps // 2 - length // 2 - length % 2
            centred.append(F.pad(kernel, (lead, taps - length - lead)))
        return torch.stack(centred, 1).flatten(0, 1)[:, None].float()
