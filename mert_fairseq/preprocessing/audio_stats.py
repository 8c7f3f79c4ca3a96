"""Statistics of decoded audio: level, clipping, NaN and infinity; and the limits for rejection."""

from dataclasses import dataclass

import numpy as np

from mert_fairseq.audio import AudioInfo
from mert_fairseq.preprocessing.reject_reasons import Reason

FULL_SCALE_16_BIT = 32767 / 32768
FULL_SCALE_8_BIT = 127 / 128
FLOAT_SUBTYPES = ("FLOAT", "DOUBLE")  # they keep values above 1.0, so nothing is clipped


@dataclass(frozen=True)
class Limits:
    """Which audio is rejected.

    Attributes:
        min_seconds: length of the shortest accepted file. silence_dbfs: a file below this level is silent. The level is
        half the range from the lowest to the highest sample.
        max_clipped_share: largest share of samples at or above full scale.
    """

    min_seconds: float = 1.0
    silence_dbfs: float = -60.0
    max_clipped_share: float = 0.1


class AudioStats:
    """Level and faults of a file, updated block by block.

    Attributes:
        samples: per channel so far.
        first_fault: index of the first NaN or infinite sample, or None.
    """

    def __init__(self, info: AudioInfo) -> None:
        self.container, _, subtype = info.format.partition("/")
        self.sample_rate = info.sample_rate
        self.stated_samples = info.samples
        self.ceiling = FULL_SCALE_8_BIT if subtype in ("PCM_U8", "PCM_S8") else FULL_SCALE_16_BIT
        self.can_clip = subtype not in FLOAT_SUBTYPES
        self.samples = 0
        self.first_fault: int | None = None
        self._values = 0
        self._at_ceiling = 0
        self._channels_low, self._channels_high = np.inf, -np.inf
        self._mono_low, self._mono_high = np.inf, -np.inf

    def update(self, block: np.ndarray, mono: np.ndarray) -> None:
        """Add a block: (n, channels) float32 as decoded, and (n,) its mean over channels; n >= 1."""
        low, high = float(block.min()), float(block.max())
        if not np.isfinite(low + high) and self.first_fault is None:
            self.first_fault = self.samples + int(np.argmin(np.isfinite(block).all(axis=1)))
        if self.can_clip and max(-low, high) >= self.ceiling:
            self._at_ceiling += int(np.count_nonzero(np.abs(block) >= self.ceiling))
        self.samples += len(block)
        self._values += block.size
        self._channels_low, self._channels_high = min(self._channels_low, low), max(self._channels_high, high)
        self._mono_low = min(self._mono_low, float(mono.min()))
        self._mono_high = max(self._mono_high, float(mono.max()))

    @property
    def missing_seconds(self) -> float:
        """Difference between the length that the header states and the decoded length; at least 0."""
        return max(0, self.stated_samples - self.samples) / self.sample_rate

    @property
    def clipped_share(self) -> float:
        """Share of all samples of all channels at or above full scale; 0 for float formats."""
        return self._at_ceiling / max(1, self._values)

    def verdict(self, limits: Limits) -> tuple[Reason, str] | None:
        """Why the audio is rejected, as (reason, detail), or None."""
        if self.samples == 0:
            return Reason.EMPTY, "a header, but no samples"
        if self.first_fault is not None:
            return Reason.NOT_FINITE, f"first at {self.first_fault / self.sample_rate:.3f} s"
        seconds = self.samples / self.sample_rate
        if seconds < limits.min_seconds:
            return Reason.TOO_SHORT, f"{seconds:.3f} s, less than {limits.min_seconds:g} s"
        channels_dbfs = _dbfs((self._channels_high - self._channels_low) / 2)
        mono_dbfs = _dbfs((self._mono_high - self._mono_low) / 2)
        if mono_dbfs < limits.silence_dbfs:
            if channels_dbfs >= limits.silence_dbfs:
                return (
                    Reason.SILENT,
                    f"the channels cancel in the mono mix: {channels_dbfs:.1f} to {mono_dbfs:.1f} dBFS",
                )
            return Reason.SILENT, f"level {mono_dbfs:.1f} dBFS, below {limits.silence_dbfs:g}"
        if self.clipped_share > limits.max_clipped_share:
            return Reason.CLIPPED, f"{self.clipped_share:.1%} of the samples at full scale"
        return None


def _dbfs(amplitude: float) -> float:
    return float(20 * np.log10(amplitude)) if amplitude > 0 else -np.inf
