"""Frame features to cluster: log-mel, MFCC and chroma, one row per label.

Row i describes samples i x hop to (i + 1) x hop and is centred on their middle. A last, partial hop has a row too, so a
track has ``frames.num_label_frames`` rows. Everything is float32, without gradients, on the wave's device.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from mert_fairseq.frames import hop_samples
from mert_fairseq.teachers.chunking import windows
from mert_fairseq.teachers.cqt import CQTTeacher
from mert_fairseq.teachers.cqt_plan import whole_octaves
from mert_fairseq.teachers.logmel import mel_filters, power_spectrum

DEFAULT_WIDTH = {"logmel": 128, "mfcc": 13, "chroma": 12}
FFT_SAMPLES = 2048
FMIN_HZ = 32.7  # C1, so that chroma 0 is C
FLOOR = 1e-5
MFCC_BANDS = 40
DELTA_REACH = 2  # frames on either side for a delta
CHROMA_OCTAVES = 7  # fewer below 8.3 kHz, whose Nyquist frequency is lower
CHROMA_BINS = 36  # per octave, before folding
CHROMA_FLOOR = 0.1  # added to the norm of a row, so that near silence fades to 0 instead of being amplified
CORE_FRAMES = 1024  # per window: 14 s at 75 Hz


@dataclass(frozen=True)
class FrameFeatures:
    """One kind of features at one label rate.

    Args:
        kind: "logmel" (logarithms of mel power), "mfcc" (cepstra with their deltas and delta-deltas, as in
            HuBERT's first iteration) or "chroma" (CQT magnitudes folded into one octave, scaled to unit norm).
        sample_rate: of the wave, in Hz.
        label_rate_hz: rows per second; must divide the sample rate.
        width: number of mel bands, cepstra or chroma bins (a divisor of 36); 0 means 128, 13 or 12.

    Raises:
        ValueError: if the kind is unknown, or the width or the rates do not fit.
    """

    kind: str = "logmel"
    sample_rate: int = 24_000
    label_rate_hz: float = 75
    width: int = 0

    def __post_init__(self) -> None:
        if self.kind not in DEFAULT_WIDTH:
            raise ValueError(f"features: found kind {self.kind!r}, expected one of {', '.join(DEFAULT_WIDTH)}.")
        object.__setattr__(self, "width", self.width or DEFAULT_WIDTH[self.kind])
        if self.kind == "chroma" and (self.width < 1 or CHROMA_BINS % self.width):
            raise ValueError(
                f"features: found chroma of width {self.width}, expected 12 or another divisor of {CHROMA_BINS}."
            )
        if self.kind == "mfcc" and not 1 <= self.width <= MFCC_BANDS:
            raise ValueError(f"features: found {self.width} cepstra, expected 1 to {MFCC_BANDS}.")
        hop_samples(self.sample_rate, self.label_rate_hz)
        if self.kind == "chroma":
            _ = self._cqt
        else:
            self._filters(torch.device("cpu"))

    @property
    def settings(self) -> dict[str, Any]:
        """Values that make the same features again: ``FrameFeatures(**settings)``."""
        return asdict(self)

    @property
    def name(self) -> str:
        """For label names."""
        return self.kind

    @property
    def dim(self) -> int:
        """Numbers per row."""
        return self.width * (3 if self.kind == "mfcc" else 1)

    @property
    def hop_samples(self) -> int:
        """Samples from one row to the next."""
        return hop_samples(self.sample_rate, self.label_rate_hz)

    @property
    def context_samples(self) -> int:
        """How far a row depends on samples beyond its own hop, rounded up to whole hops."""
        hop = self.hop_samples
        reach = self._cqt.geometry.context_samples if self.kind == "chroma" else FFT_SAMPLES // 2
        delta_frames = 2 * DELTA_REACH if self.kind == "mfcc" else 0
        return (-(-reach // hop) + delta_frames) * hop

    @torch.no_grad()
    def __call__(self, wave: Tensor) -> Tensor:
        """(T,) float32 mono to (ceil(T / hop), dim) float32; silence is assumed beyond both ends."""
        hop = self.hop_samples
        rows = -(-wave.shape[0] // hop)
        # Frame 1 of the padded wave is centred on the middle of its first hop.
        padded = pad(wave.float(), (hop - hop // 2, rows * hop - wave.shape[0]))[None]
        with torch.autocast(wave.device.type, enabled=False):
            if self.kind == "chroma":
                return _fold_octaves(self._cqt(padded)[0, 1 : rows + 1], self.width)
            power = power_spectrum(padded, FFT_SAMPLES, hop)[0, 1 : rows + 1]
            logmel = (power @ self._filters(wave.device) + FLOOR).log()
            if self.kind == "logmel":
                return logmel
            cepstra = logmel @ dct_basis(MFCC_BANDS, self.width).to(wave.device)
            delta = deltas(cepstra)
            return torch.cat([cepstra, delta, deltas(delta)], 1)

    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Compute the rows of a track of any length in bounded memory; they equal those of the whole wave.

        Args:
            blocks: (n,) float32 each, end to end.

        Yields:
            (rows, dim) float32: CORE_FRAMES rows each, the last with the rest.
        """
        hop, context = self.hop_samples, self.context_samples
        for window in windows(blocks, CORE_FRAMES * hop, context, context):
            first = window.lead_samples // hop
            last = first - (-window.core_samples // hop)
            yield self(torch.from_numpy(window.wave))[first:last].numpy()

    @cached_property
    def _cqt(self) -> CQTTeacher:
        octaves = min(CHROMA_OCTAVES, whole_octaves(self.sample_rate, CHROMA_BINS, FMIN_HZ))
        return CQTTeacher(self.sample_rate, self.hop_samples, CHROMA_BINS * octaves, CHROMA_BINS, FMIN_HZ)

    def _filters(self, device: torch.device) -> Tensor:
        bands = MFCC_BANDS if self.kind == "mfcc" else self.width
        return mel_filters(FFT_SAMPLES, self.sample_rate, bands, FMIN_HZ, self.sample_rate / 2, device)


def dct_basis(bands: int, cepstra: int) -> Tensor:
    """(bands, cepstra) float32: the orthonormal discrete cosine transform of type II."""
    phases = torch.pi / bands * (torch.arange(bands)[:, None] + 0.5) * torch.arange(cepstra)
    basis = phases.cos() * (2 / bands) ** 0.5
    basis[:, 0] /= 2**0.5
    return basis


def deltas(rows: Tensor) -> Tensor:
    """(F, D) least-squares slopes over DELTA_REACH rows on either side; the end rows are repeated at the edges."""
    frames = rows.shape[0]
    ends = [rows[:1]] * DELTA_REACH, [rows[-1:]] * DELTA_REACH
    wide = torch.cat([*ends[0], rows, *ends[1]])
    steps = range(-DELTA_REACH, DELTA_REACH + 1)
    slopes = [step * wide[DELTA_REACH + step : DELTA_REACH + step + frames] for step in steps]
    return torch.stack(slopes).sum(0) / sum(step * step for step in steps)


def _fold_octaves(magnitudes: Tensor, width: int) -> Tensor:
    """(F, bins) CQT magnitudes to (F, width) chroma; each chroma bin is centred on its note."""
    frames = magnitudes.shape[0]
    octave = magnitudes.view(frames, -1, CHROMA_BINS).sum(1)
    share = CHROMA_BINS // width
    chroma = octave.roll(share // 2, 1).view(frames, width, share).sum(2)
    return chroma / (chroma.norm(dim=1, keepdim=True) + CHROMA_FLOOR)
