"""Log-mel magnitudes of the clean wave, an optional second musical target beside the CQT."""

import torch
from torch import Tensor

from mert_fairseq.teachers.batched import in_clips
from mert_fairseq.teachers.mel import mel_filters, power_spectrum

FFT_SAMPLES = 2048
FMIN_HZ = 32.7  # C1, as for the CQT
FLOOR = 1e-5
CLIPS_AT_ONCE = 8


class LogMelTeacher:
    """Logarithms of mel power spectra, not yet standardised over the batch.

    What torchaudio's MelSpectrogram gives for a 2048-point Hann window, centred frames, zero padding, HTK's scale from
    32.7 Hz to half the sample rate and ``normalized=True``; plus 1e-5, natural logarithm. A plain object like the CQT
    teacher: no parameters or buffers, always float32, no gradients.

    Args:
        sample_rate: of the wave, in Hz.
        hop_samples: from one frame to the next.
        bins: mel bands.

    Raises:
        ValueError: if a size is not positive, or so many bands are asked for that one is empty.
    """

    def __init__(self, sample_rate: int = 24_000, hop_samples: int = 320, bins: int = 84):
        if min(sample_rate, hop_samples, bins) <= 0:
            raise ValueError(
                f"log-mel: sample_rate {sample_rate}, hop_samples {hop_samples} and bins {bins} must all be above 0."
            )
        self.sample_rate = sample_rate
        self.hop_samples = hop_samples
        self.bins = bins
        self._filters(torch.device("cpu"))

    def _filters(self, device: torch.device) -> Tensor:
        return mel_filters(FFT_SAMPLES, self.sample_rate, self.bins, FMIN_HZ, self.sample_rate / 2, device)

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
        power = power_spectrum(wave, FFT_SAMPLES, self.hop_samples)
        return (power @ self._filters(wave.device) + FLOOR).log()
