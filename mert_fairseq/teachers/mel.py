"""Mel power spectra with HTK's scale, in float32: the ground of the log-mel teacher and of the frame features.

Written out here because torchaudio does not import beside a CPU-only torch; it is the reference in the tests.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


def hz_to_mel(frequency_hz: float) -> float:
    """HTK's scale: 2595 log10(1 + f / 700)."""
    return 2595 * float(np.log10(1 + frequency_hz / 700))


@lru_cache(maxsize=16)
def mel_filters(
    fft_samples: int, sample_rate: int, bins: int, fmin_hz: float, fmax_hz: float, device: torch.device
) -> Tensor:
    """Triangles of height 1, evenly spaced on the mel scale between ``fmin_hz`` and ``fmax_hz``.

    Returns:
        (fft_samples // 2 + 1, bins) float32.

    Raises:
        ValueError: if the range is empty or a triangle falls between two lines of the spectrum.
    """
    if not 0 <= fmin_hz < fmax_hz <= sample_rate / 2:
        raise ValueError(
            f"mel: {fmin_hz:g} to {fmax_hz:g} Hz is no range within 0 to {sample_rate / 2:g} Hz, half the sample rate."
        )
    mels = np.linspace(hz_to_mel(fmin_hz), hz_to_mel(fmax_hz), bins + 2)
    corners_hz = 700 * (10 ** (mels / 2595) - 1)
    lines_hz = np.arange(fft_samples // 2 + 1)[:, None] * sample_rate / fft_samples
    rising = (lines_hz - corners_hz[:-2]) / (corners_hz[1:-1] - corners_hz[:-2])
    falling = (corners_hz[2:] - lines_hz) / (corners_hz[2:] - corners_hz[1:-1])
    filters = np.maximum(0, np.minimum(rising, falling))
    empty = np.flatnonzero(filters.max(axis=0) == 0)
    if empty.size:
        raise ValueError(
            f"mel: band {empty[0]} ({corners_hz[empty[0]]:.1f} to {corners_hz[empty[0] + 2]:.1f} Hz) lies between "
            f"two lines of a {fft_samples}-point spectrum at {sample_rate} Hz. Take fewer "
            f"than {bins} bands, or more points."
        )
    return torch.from_numpy(filters.astype(np.float32)).to(device)


def power_spectrum(wave: Tensor, fft_samples: int, hop_samples: int) -> Tensor:
    """Squared magnitudes of Hann-windowed frames, centred on every hop-th sample, over the window's sum of squares.

    Args:
        wave: (B, T) float32; silence is assumed beyond both ends.

    Returns:
        (B, T // hop_samples + 1, fft_samples // 2 + 1) float32.
    """
    window = torch.hann_window(fft_samples, device=wave.device, dtype=torch.float32)
    padded = torch.nn.functional.pad(wave, (fft_samples // 2, fft_samples // 2))
    spectrum = torch.fft.rfft(padded.unfold(1, fft_samples, hop_samples) * window)
    return torch.view_as_real(spectrum).square().sum(-1) / window.square().sum()
