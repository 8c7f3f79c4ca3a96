"""Frame features to cluster: log-mel, MFCC and chroma, one row a label.

Row i describes samples i x hop to (i + 1) x hop and is centred on their middle; a last, partial hop counts, so a track
has as many rows as frames.num_label_frames says. All float32, computed without gradients on the wave's device.
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
from mert_fairseq.teachers.cqt import CQTTeacher
from mert_fairseq.teachers.cqt_plan import whole_octaves
from mert_fairseq.teachers.mel import mel_filters, power_spectrum
from mert_fairseq.teachers.windowing import windows

DEFAULT_WIDTH = {"logmel": 128, "mfcc": 13, "chroma": 12}
FFT_SAMPLES = 2048
FMIN_HZ = 32.7  # C1, so that chroma 0 is C
FLOOR = 1e-5
MFCC_BANDS = 40
DELTA_REACH = 2  # frames on either side of a difference
CHROMA_OCTAVES = 7  # fewer below 8.3 kHz, whose Nyquist frequency is lower
CHROMA_BINS = 36  # of an octave, before folding
CHROMA_FLOOR = 0.1  # added to a row's length, so that near silence fades to 0 and is not blown up
CORE_FRAMES = 1024  # of a window: 14 s at 75 Hz


@dataclass(frozen=True)
class FrameFeatures:
    """One kind of features on one clock.

    Args:
        kind: "logmel" (logarithms of mel power), "mfcc" (cepstra with their first and second differences, as HuBERT's
            first iteration clusters) or "chroma" (CQT magnitudes folded into one octave, of unit length).
        sample_rate: of the wave, in Hz.
        label_rate_hz: rows a second; must divide the sample rate.
        width: mel bands, cepstra or chroma bins (a divisor of 36); 0 takes 128, 13 or 12.

    Raises:
        ValueError: if the kind is unknown, or the width or the rates do not fit.
    """

    kind: str = "logmel"
    sample_rate: int = 24_000
    label_rate_hz: float = 75
    width: int = 0

    def __post_init__(self) -> None:
        if self.kind not in DEFAULT_WIDTH:
            raise ValueError(f"features: no kind {self.kind!r}; there are {', '.join(DEFAULT_WIDTH)}.")
        object.__setattr__(self, "width", self.width or DEFAULT_WIDTH[self.kind])
        if self.kind == "chroma" and (self.width < 1 or CHROMA_BINS % self.width):
            raise ValueError(
                f"features: chroma of width {self.width}; expected 12 or another divisor of {CHROMA_BINS}."
            )
        if self.kind == "mfcc" and not 1 <= self.width <= MFCC_BANDS:
            raise ValueError(f"features: {self.width} cepstra; expected 1 to {MFCC_BANDS}.")
        hop_samples(self.sample_rate, self.label_rate_hz)
        if self.kind == "chroma":
            _ = self._cqt
        else:
            self._filters(torch.device("cpu"))

    @property
    def settings(self) -> dict[str, Any]:
        """All that is needed to make the features again: ``FrameFeatures(**settings)``."""
        return asdict(self)

    @property
    def name(self) -> str:
        """For label names."""
        return self.kind

    @property
    def dim(self) -> int:
        """Length of a row."""
        return self.width * (3 if self.kind == "mfcc" else 1)

    @property
    def hop_samples(self) -> int:
        """Samples from one row to the next."""
        return hop_samples(self.sample_rate, self.label_rate_hz)

    @property
    def context_samples(self) -> int:
        """How far beyond its own hop a row looks, in whole hops."""
        hop = self.hop_samples
        reach = self._cqt.geometry.context_samples if self.kind == "chroma" else FFT_SAMPLES // 2
        differences = 2 * DELTA_REACH if self.kind == "mfcc" else 0
        return (-(-reach // hop) + differences) * hop

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
            cepstra = logmel @ cosines(MFCC_BANDS, self.width).to(wave.device)
            first = differences(cepstra)
            return torch.cat([cepstra, first, differences(first)], 1)

    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The rows of a track of any length in bounded memory, equal to those of the whole wave.

        Args:
            blocks: (n,) float32 each, end to end.

        Yields:
            (rows, dim) float32, CORE_FRAMES rows and at last what remains.
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


def cosines(bands: int, cepstra: int) -> Tensor:
    """(bands, cepstra) float32: the orthonormal cosine transform of type II."""
    phases = torch.pi / bands * (torch.arange(bands)[:, None] + 0.5) * torch.arange(cepstra)
    basis = phases.cos() * (2 / bands) ** 0.5
    basis[:, 0] /= 2**0.5
    return basis


def differences(rows: Tensor) -> Tensor:
    """Slope over DELTA_REACH rows on either side by least squares, (F, D); the end rows are repeated outward."""
    frames = rows.shape[0]
    ends = [rows[:1]] * DELTA_REACH, [rows[-1:]] * DELTA_REACH
    wide = torch.cat([*ends[0], rows, *ends[1]])
    steps = range(-DELTA_REACH, DELTA_REACH + 1)
    slopes = [step * wide[DELTA_REACH + step : DELTA_REACH + step + frames] for step in steps]
    return torch.stack(slopes).sum(0) / sum(step * step for step in steps)


def _fold_octaves(magnitudes: Tensor, width: int) -> Tensor:
    """(F, bins) CQT magnitudes to (F, width) chroma; a bin's share of an octave is centred on its note."""
    frames = magnitudes.shape[0]
    octave = magnitudes.view(frames, -1, CHROMA_BINS).sum(1)
    share = CHROMA_BINS // width
    chroma = octave.roll(share // 2, 1).view(frames, width, share).sum(2)
    return chroma / (chroma.norm(dim=1, keepdim=True) + CHROMA_FLOOR)
