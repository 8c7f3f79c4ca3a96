"""Short-time spectra at the features' frame rate, and the Wiener filter that turns magnitudes into waves."""

import torch
from torch import Tensor

SAMPLE_RATE, FFT_SAMPLES, HOP_SAMPLES = 24_000, 2048, 320  # 75 frames per second
BINS = FFT_SAMPLES // 2 + 1
WIENER_FRAMES = 600  # frames per block of the filter's statistics
EPSILON = 1e-10


def stft(waves: Tensor) -> Tensor:
    """(B, T) to (B, T // hop + 1, bins) complex, centred."""
    window = torch.hann_window(FFT_SAMPLES, device=waves.device)
    return torch.stft(waves, FFT_SAMPLES, HOP_SAMPLES, window=window, return_complex=True).transpose(1, 2)


def istft(spectra: Tensor, samples: int) -> Tensor:
    """(B, F, bins) complex to (B, samples)."""
    window = torch.hann_window(FFT_SAMPLES, device=spectra.device)
    return torch.istft(spectra.transpose(1, 2), FFT_SAMPLES, HOP_SAMPLES, window=window, length=samples)


def wiener(magnitude: Tensor, mixture: Tensor) -> Tensor:
    """One step of expectation maximisation of a source against the rest of a mono mixture.

    Args:
        magnitude: (F, bins) of the source, as estimated.
        mixture: (F, bins) complex.

    Returns:
        (F, bins) complex: the source. Each bin's variance is that of its frames, and each frequency has one gain.
    """
    return torch.cat(
        [
            _wiener_block(magnitude[start : start + WIENER_FRAMES], mixture[start : start + WIENER_FRAMES])
            for start in range(0, len(mixture), WIENER_FRAMES)
        ]
    )


def _wiener_block(magnitude: Tensor, mixture: Tensor) -> Tensor:
    scale = (mixture.abs().max() / 10).clamp(min=1.0)
    mixture = mixture / scale
    source = torch.polar(magnitude / scale, mixture.angle())
    power = torch.stack([source.abs().square(), (mixture - source).abs().square()])  # (2, F, bins): source, rest
    spatial = power.sum(1) / (power.sum(1) + EPSILON)  # of one channel: 1, or 0 where a bin is silent
    weighted = power * spatial[:, None]
    return weighted[0] / (weighted.sum(0) + EPSILON**0.5) * mixture * scale
