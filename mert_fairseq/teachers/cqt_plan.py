"""The plan for one clip length: the padded length, and the few spectral values of each constant-Q kernel.

The CQT of frame f and bin k is the correlation of the wave with a Hann-windowed tone of ``lengths[k]`` samples at
sample ``f * hop``. On a circle of N = hop x M samples this is a product of spectra. Keeping every hop-th sample of its
inverse transform is the same as summing the product modulo M and inverting the sum with M points. A shift of the
product along the frequency axis changes only the phase of the result. So a kernel's values are stored from the first
one, padded to whole rows of M: folding is then a sum of rows, and the magnitudes are exact.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# The usual half_width of a geometry; a kernel's resolution is sample rate / length. A Hann window falls off with the
# third power: at 32 the worst error on noise, sweeps and clicks is 2e-5 to 5e-5 of the peak.
HALF_WIDTH = 32


class CQTGeometry(NamedTuple):
    """Frequencies and lengths of the kernels, as nnAudio defines them (filter scale 1)."""

    sample_rate: int
    hop_samples: int
    frequencies_hz: np.ndarray  # (bins,) float64
    lengths: np.ndarray  # (bins,) int64, samples
    half_width: int  # spectral values kept on either side of a kernel's centre, in units of its resolution

    @property
    def context_samples(self) -> int:
        """Samples on either side of a frame that the longest kernel covers."""
        return (int(self.lengths.max()) + 1) // 2


class BinKernel(NamedTuple):
    """The slice of the spectrum that one bin uses, and its weights."""

    half_sample: bool  # the kernel is centred between two samples (odd length)
    first: int  # where its slice of the extended spectrum starts
    values: Tensor  # (rows, M) float32; a symmetric window has a real spectrum


class CQTPlan(NamedTuple):
    """Everything that depends on the clip length; built once per length and device."""

    frames: int  # M, of the circle
    samples: int  # N = hop x M
    before: int  # spectral values mirrored in front of zero frequency
    after: int  # and after the Nyquist frequency
    half_sample_shift: Tensor  # (N / 2 + 1,) complex64
    bins: list[BinKernel]


def cqt_geometry(
    sample_rate: int,
    hop_samples: int,
    bins: int,
    bins_per_octave: int,
    fmin_hz: float,
    longest_samples: int | None = None,
    half_width: int = HALF_WIDTH,
) -> CQTGeometry:
    """Compute the frequencies and lengths of the kernels; ``longest_samples`` shortens those that are longer.

    Raises:
        ValueError: if a bin lies above the Nyquist frequency.
    """
    frequencies_hz = fmin_hz * 2.0 ** (np.arange(bins) / bins_per_octave)
    if frequencies_hz[-1] > sample_rate / 2:
        raise ValueError(
            f"CQT: found the highest of {bins} bins at {frequencies_hz[-1]:.1f} Hz, expected it below the Nyquist "
            f"frequency of {sample_rate / 2:g} Hz. Use fewer bins, a lower fmin_hz, or a higher sample rate."
        )
    quality = 1 / (2 ** (1 / bins_per_octave) - 1)
    lengths = np.ceil(quality * sample_rate / frequencies_hz).astype(np.int64)
    if longest_samples is not None:
        lengths = np.minimum(lengths, longest_samples)
    return CQTGeometry(sample_rate, hop_samples, frequencies_hz, lengths, half_width)


def whole_octaves(sample_rate: int, bins_per_octave: int, fmin_hz: float) -> int:
    """Number of octaves from ``fmin_hz`` whose bins all lie below the Nyquist frequency; 0 or less if none."""
    return math.floor(math.log2(sample_rate / 2 / fmin_hz) + 1 / bins_per_octave)


def circle_frames(geometry: CQTGeometry, samples: int) -> int:
    """Frames of a circle that holds ``samples`` and the silence that kernels need beyond both ends.

    Both ends share the same silence. Sizes are 8, 9, 10, 12 or 15 times a power of two: fast to transform, always even,
    and few, so that clips of many lengths share a plan.
    """
    needed = -(-(samples + geometry.context_samples) // geometry.hop_samples)
    doublings = max(0, needed.bit_length() - 4)
    sizes = [factor << power for power in (doublings, doublings + 1) for factor in (8, 9, 10, 12, 15)]
    return min(size for size in sizes if size >= needed)


def build_plan(geometry: CQTGeometry, frames: int, device: torch.device) -> CQTPlan:
    """Build the plan for a circle of ``frames`` on ``device``; takes 0.1 s for 5 s clips at the default settings."""
    samples = frames * geometry.hop_samples
    centres = np.rint(geometry.frequencies_hz / geometry.sample_rate * samples).astype(np.int64)
    resolution = samples / geometry.lengths
    rows = np.minimum(np.ceil(2 * geometry.half_width * resolution / frames).astype(np.int64), geometry.hop_samples)
    firsts = centres - rows * frames // 2
    before = max(0, -int(firsts.min()))
    after = max(0, int((firsts + rows * frames).max()) - (samples // 2 + 1))
    sizes = rows * frames
    values = np.empty(sizes.sum(), dtype=np.float32)
    ends = np.cumsum(sizes)
    for k, (first, size, end) in enumerate(zip(firsts, sizes, ends, strict=True)):
        distances = (first + np.arange(size)) / samples - geometry.frequencies_hz[k] / geometry.sample_rate
        values[end - size : end] = kernel_spectrum(distances, int(geometry.lengths[k])) / geometry.hop_samples
    bins = [
        BinKernel(bool(length % 2), int(first) + before, part.view(-1, frames))
        for length, first, part in zip(
            geometry.lengths, firsts, torch.from_numpy(values).to(device).split(sizes.tolist()), strict=True
        )
    ]
    shift = np.exp(-1j * np.pi / samples * np.arange(samples // 2 + 1)).astype(np.complex64)
    return CQTPlan(frames, samples, before, after, torch.from_numpy(shift).to(device), bins)


def kernel_spectrum(cycles_per_sample: np.ndarray, length: int) -> np.ndarray:
    """Spectrum of a periodic Hann window about its centre, scaled as nnAudio scales its kernels.

    The window of ``length`` samples has the sum 1 (norm=1), times sqrt(length) (nnAudio's "librosa" normalisation).
    In closed form, with a = pi x frequency and b = pi / length, an unscaled window has the spectrum
    sin(length a) cot(a) sin(b)^2 / (sin(b)^2 - sin(a)^2) / 2.

    Args:
        cycles_per_sample: distances from the kernel's frequency.
        length: of the window, in samples.
    """
    a, b = np.pi * cycles_per_sample, np.pi / length
    nudge = 1e-7 * b  # avoids the removable singularities at 0 and +-b, where the formula divides 0 by 0
    for pole in (0.0, b, -b):
        a = np.where(np.abs(a - pole) < nudge, pole + nudge, a)
    window_sum = np.sin(length * a) / np.tan(a) * np.sin(b) ** 2 / (np.sin(b) ** 2 - np.sin(a) ** 2) / 2
    return window_sum * 2 / np.sqrt(length)
