"""Spectra as inputs of a MERT encoder: a constant-Q transform, and the frames of the spectral front end; torch only."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .configuration_mert import MERTEncoderConfig

MEL_LOWEST_HZ, MEL_FLOOR, MEL_MEAN, MEL_STD = 32.7, 1e-5, -5.0, 3.5
CQT_GAIN = 10.0


class ConstantQ:
    """Magnitudes of the constant-Q transform; kernels are made when they are first used.

    Each kernel is a tone in a periodic Hann window whose sum is 1, times the square root of its length.
    """

    def __init__(self, config: MERTEncoderConfig, longest_samples: int | None = None) -> None:
        self.bins, self.per_octave = config.cqt_bins, config.cqt_bins // config.cqt_octaves
        self.lowest_hz, self.longest_samples = config.cqt_lowest_hz, longest_samples
        self.sample_rate, self.hop_samples = config.sample_rate, math.prod(config.conv_stride)
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
            hertz = self.lowest_hz * 2 ** (index / self.per_octave)
            length = math.ceil(quality * self.sample_rate / hertz)
            if self.longest_samples is not None:
                length = min(length, self.longest_samples)
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


class LogMel:
    """Logarithms of mel power spectra on HTK's scale; kernels and filters are made when they are first used.

    The spectrum is a convolution with windowed tones, so that exported graphs need no Fourier transform.
    """

    def __init__(self, config: MERTEncoderConfig) -> None:
        self.bins, self.fft_samples = config.mel_bins, config.mel_fft_samples
        self.sample_rate, self.hop_samples = config.sample_rate, math.prod(config.conv_stride)
        self._parts: tuple[Tensor, Tensor] | None = None

    def __call__(self, wave: Tensor) -> Tensor:
        """(B, T) float32 -> (B, T // hop + 1, bins) float32; silence is assumed beyond both ends."""
        if self._parts is None or self._parts[0].device != wave.device:
            self._parts = self._tones().to(wave.device), self._filters().to(wave.device)
        tones, filters = self._parts
        half = self.fft_samples // 2
        parts = F.conv1d(F.pad(wave.float(), (half, half))[:, None], tones, stride=self.hop_samples)
        power = parts.unflatten(1, (2, -1)).pow(2).sum(1)
        return (power.transpose(1, 2) @ filters + MEL_FLOOR).log()

    def _tones(self) -> Tensor:
        """Windowed cosines over sines, with a window of norm 1: (2 lines, 1, points) float32."""
        points = self.fft_samples
        window = torch.hann_window(points, dtype=torch.float64)
        time = torch.arange(points, dtype=torch.float64)
        angle = 2 * math.pi / points * torch.outer(torch.arange(points // 2 + 1, dtype=torch.float64), time)
        return (torch.cat([angle.cos(), angle.sin()]) * window / window.norm())[:, None].float()

    def _filters(self) -> Tensor:
        """Triangles of height 1, evenly spaced on the mel scale: (lines, bins) float32."""
        lowest, highest = (2595 * math.log10(1 + hertz / 700) for hertz in (MEL_LOWEST_HZ, self.sample_rate / 2))
        mels = torch.linspace(lowest, highest, self.bins + 2, dtype=torch.float64)
        corners = 700 * (10 ** (mels / 2595) - 1)
        lines = torch.arange(self.fft_samples // 2 + 1, dtype=torch.float64)[:, None] * self.sample_rate
        lines = lines / self.fft_samples
        rising = (lines - corners[:-2]) / (corners[1:-1] - corners[:-2])
        falling = (corners[2:] - lines) / (corners[2:] - corners[1:-1])
        return torch.minimum(rising, falling).clamp_min(0).float()


class SpectralFrames(torch.nn.Module):
    """Log-compressed CQT beside log-mel frames, in place of the convolutions over the wave; it has no parameters."""

    def __init__(self, config: MERTEncoderConfig) -> None:
        super().__init__()
        self.convolutions = list(zip(config.conv_kernel, config.conv_stride))  # noqa: B905
        self.constant_q = ConstantQ(config, config.cqt_longest_samples)
        self.log_mel = LogMel(config)

    def forward(self, wave: Tensor) -> Tensor:
        """(B, T) -> (B, C, F), as many frames as the convolutions make."""
        frames = wave.shape[1]
        for kernel, stride in self.convolutions:
            frames = (frames - kernel) // stride + 1
        cqt = (CQT_GAIN * self.constant_q(wave)[:, :frames]).log1p()
        mel = (self.log_mel(wave)[:, :frames] - MEL_MEAN) / MEL_STD
        return torch.cat([cqt, mel], -1).transpose(1, 2)
