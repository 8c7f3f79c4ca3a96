"""Mel power spectra on HTK's scale, and the log-mel teacher, an optional musical target in addition to the CQT.

Implemented here because torchaudio cannot be imported with a CPU-only torch; the tests compare with torchaudio.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from mert_fairseq.teachers.chunking import in_clips

FFT_SAMPLES = 2048
FMIN_HZ = 32.7  # C1, as for the CQT
FLOOR = 1e-5
CLIPS_AT_ONCE = 8


class LogMelTeacher:
    """Logarithms of mel power spectra, not yet standardised over the batch.

    Equal to torchaudio's MelSpectrogram with a Hann window of ``fft_samples``, centred frames, zero padding, HTK's
    scale from 32.7 Hz to half the sample rate and ``normalized=True``; plus 1e-5, natural logarithm. A plain object
    like the CQT teacher: no parameters or buffers, always float32, no gradients.

    Args:
        sample_rate: of the wave, in Hz.
        hop_samples: from one frame to the next.
        bins: mel bands.
        fft_samples: of the window and of the transform.

    Raises:
        ValueError: if a size is not positive, or there are so many bands that one is empty.
    """

    def __init__(
        self, sample_rate: int = 24_000, hop_samples: int = 320, bins: int = 84, fft_samples: int = FFT_SAMPLES
    ):
        if min(sample_rate, hop_samples, bins, fft_samples) <= 0:
            raise ValueError(
                f"log-mel: sample_rate {sample_rate}, hop_samples {hop_samples}, bins {bins} and fft_samples "
                f"{fft_samples} must all be above 0."
            )
        self.sample_rate = sample_rate
        self.hop_samples = hop_samples
        self.bins = bins
        self.fft_samples = fft_samples
        self._filters(torch.device("cpu"))

    def _filters(self, device: torch.device) -> Tensor:
        return mel_filters(self.fft_samples, self.sample_rate, self.bins, FMIN_HZ, self.sample_rate / 2, device)

    def __call__(self, wave: Tensor) -> Tensor:
        """Transform a batch of clips.

        Args:
            wave: (B, T) float32 or float64 in [-1, 1], mono, before any mixing; silence is assumed beyond both ends.

        Returns:
            (B, T // hop_samples + 1, bins) float32.

        Raises:
            TypeError: if the wave is half precision or integer.
            ValueError: if it is not (B, T), or empty.
        """
        return in_clips(wave, "log-mel", CLIPS_AT_ONCE, self._transform)

    def _transform(self, wave: Tensor) -> Tensor:
        power = power_spectrum(wave, self.fft_samples, self.hop_samples)
        return (power @ self._filters(wave.device) + FLOOR).log()


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
            f"mel: found the range {fmin_hz:g} to {fmax_hz:g} Hz, expected a range within 0 to {sample_rate / 2:g} Hz, "
            f"half the sample rate."
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
            f"two lines of a {fft_samples}-point spectrum at {sample_rate} Hz. Use fewer "
            f"than {bins} bands, or more points."
        )
    return torch.from_numpy(filters.astype(np.float32)).to(device)


def power_spectrum(wave: Tensor, fft_samples: int, hop_samples: int) -> Tensor:
    """Squared magnitudes of Hann-windowed frames centred on every hop-th sample, divided by the sum of window squares.

    Args:
        wave: (B, T) float32; silence is assumed beyond both ends.

    Returns:
        (B, T // hop_samples + 1, fft_samples // 2 + 1) float32.
    """
    window = torch.hann_window(fft_samples, device=wave.device, dtype=torch.float32)
    padded = torch.nn.functional.pad(wave, (fft_samples // 2, fft_samples // 2))
    spectrum = torch.fft.rfft(padded.unfold(1, fft_samples, hop_samples) * window)
    return torch.view_as_real(spectrum).square().sum(-1) / window.square().sum()
