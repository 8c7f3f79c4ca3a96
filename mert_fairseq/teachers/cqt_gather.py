"""The constant-Q transform for GPUs: few large operations instead of a short one per bin.

A CPU processes the bins one by one in its cache. A GPU would wait for kernel launches: 1,674 for 16 clips. Here, bins
with similar numbers of rows share one gather, one product and one sum, for any number of clips. Sums have a fixed
order, so runs are bit-identical.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mert_fairseq.teachers.cqt_plan import CQTPlan

# Rows are padded with zeros to one of these numbers (or to the largest number): 16 % more values, in 12 groups.
ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)


class BinGroup(NamedTuple):
    """Neighbouring bins of G kernels with R rows of M values."""

    places: Tensor  # (G x R x M,) int64, indices into the spectrum followed by the spectrum moved by half a sample
    weights: Tensor  # (G, R, M, 2) float32, of the real and the imaginary part


class GatherPlan(NamedTuple):
    """A ``CQTPlan`` for few large operations; one per clip length and device."""

    samples: int  # N of the circle
    half_sample_shift: Tensor  # (N / 2 + 1,) complex64
    groups: list[BinGroup]  # in the order of the bins


def gather_plan(plan: CQTPlan) -> GatherPlan:
    """Convert a plan on the CPU into a plan for ``gather_cqt``, also on the CPU."""
    rows = np.array([kernel.values.shape[0] for kernel in plan.bins])
    filled = np.array([min((size for size in ROWS if size >= count), default=rows.max()) for count in rows])
    edges = [0, *(np.flatnonzero(np.diff(filled)) + 1), len(rows)]
    groups = [_group(plan, range(first, last), int(filled[first])) for first, last in pairwise(edges)]
    return GatherPlan(plan.samples, plan.half_sample_shift, groups)


def _group(plan: CQTPlan, bins: range, rows: int) -> BinGroup:
    inner = plan.samples // 2 + 1
    index = np.zeros((len(bins), rows * plan.frames), dtype=np.int64)
    weights = np.zeros((len(bins), rows * plan.frames, 2), dtype=np.float32)
    for place, k in enumerate(bins):
        half_sample, first, values = plan.bins[k]
        size = values.numel()
        at = np.arange(first - plan.before, first - plan.before + size)
        below, above = at < 0, at >= inner
        # A real wave's spectrum is mirrored at both ends. Half a sample is half a period at the sampling rate.
        sign = np.where(above & half_sample, -1.0, 1.0)
        flat = values.flatten().numpy()
        index[place, :size] = np.where(below, -at, np.where(above, plan.samples - at, at)) + half_sample * inner
        weights[place, :size, 0] = flat * sign
        weights[place, :size, 1] = flat * np.where(below | above, -sign, sign)
    shape = (len(bins), rows, plan.frames, 2)
    return BinGroup(torch.from_numpy(index).flatten(), torch.from_numpy(weights).view(shape))


def to_device(plan: GatherPlan, device: torch.device) -> GatherPlan:
    """Copy the plan to the device of the waves."""
    groups = [BinGroup(group.places.to(device), group.weights.to(device)) for group in plan.groups]
    return GatherPlan(plan.samples, plan.half_sample_shift.to(device), groups)


def gather_cqt(plan: GatherPlan, wave: Tensor) -> Tensor:
    """Magnitudes of waves (B, T) on the whole circle, (B, bins, M)."""
    spectrum = torch.fft.rfft(wave, n=plan.samples)
    both = torch.view_as_real(torch.cat([spectrum, spectrum * plan.half_sample_shift], dim=1))
    folded = []
    for places, weights in plan.groups:
        values = both.index_select(1, places).view(len(wave), *weights.shape)
        folded.append(values.mul_(weights).sum(2))
    return torch.fft.ifft(torch.view_as_complex(torch.cat(folded, dim=1))).abs()
