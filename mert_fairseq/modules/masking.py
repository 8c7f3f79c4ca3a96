"""Masks of frames and channels, and the content of masked frames.

As in wav2vec 2.0 (arXiv:2006.11477) and HuBERT (arXiv:2106.07447), with one seed per clip.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mert_fairseq.modules import batch, clip_rng
from mert_fairseq.modules.batch import FramePadding

# Shape letters: B batch, F frames, D width, S masked frames of the batch.

SELECTIONS = ("static", "uniform", "normal", "poisson")


@dataclass(frozen=True)
class SpanMaskConfig:
    """Distribution of masked spans, along time or along channels.

    Attributes:
        prob: share of positions that would be masked if no spans overlapped.
        length: length of a span; its mean if lengths are random.
        selection: static, uniform in [other, 2 length], normal with standard deviation ``other``, or poisson.
        other: see selection.
        no_overlap: forbid spans to overlap.
        min_space: minimum distance between spans, with ``no_overlap``.
        min_masks: minimum number of spans.

    Raises:
        ValueError: if a value is invalid.
    """

    prob: float
    length: int
    selection: str = "static"
    other: float = 0.0
    no_overlap: bool = False
    min_space: int = 1
    min_masks: int = 0

    def __post_init__(self) -> None:
        if self.selection not in SELECTIONS:
            raise ValueError(f"mask_selection is {self.selection!r}, expected one of {SELECTIONS}.")
        if not 0 <= self.prob <= 1 or self.length < 1:
            raise ValueError(
                f"mask_prob {self.prob} must lie in [0, 1] and mask_length {self.length} be at least 1 frame."
            )


def span_mask(size: int, spans: SpanMaskConfig, rng: np.random.Generator) -> np.ndarray:
    """Masked positions of one row, (size,) bool, distributed as in fairseq's ``compute_mask_indices`` for a single row.

    fairseq then unmasks random positions until all rows of a batch have the same number of masked ones. Here each row
    keeps its own number: the mask of a clip does not depend on the other clips of the batch or on the number of ranks.
    """
    mask = np.zeros(size, dtype=bool)
    if spans.prob == 0:
        return mask
    count = max(spans.min_masks, int(spans.prob * size / spans.length + rng.random()))
    lengths = _span_lengths(count, spans, rng)
    if lengths.sum() == 0:
        return mask
    starts = _separate_starts(size, lengths, spans, rng) if spans.no_overlap else _free_starts(size, lengths, rng)
    for start, length in zip(starts, lengths, strict=False):
        mask[start : start + length] = True
    return mask


def _span_lengths(count: int, spans: SpanMaskConfig, rng: np.random.Generator) -> np.ndarray:
    match spans.selection:
        case "static":
            return np.full(count, spans.length)
        case "uniform":
            return rng.integers(int(spans.other), 2 * spans.length + 1, size=count)
        case "normal":
            return np.maximum(1, np.rint(rng.normal(spans.length, spans.other, size=count)).astype(int))
        case _:
            return rng.poisson(spans.length, size=count)


def _free_starts(size: int, lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    last = size - lengths.min()
    if last <= len(lengths):  # the row is too short for its spans: they may extend past its end
        last = len(lengths) + 1
    return rng.choice(last, len(lengths), replace=False)


def _separate_starts(size: int, lengths: np.ndarray, spans: SpanMaskConfig, rng: np.random.Generator) -> np.ndarray:
    """Starts of spans with random gaps of at least ``min_space``; spans that do not fit are dropped."""
    needed = np.cumsum(lengths + spans.min_space) - spans.min_space
    lengths = lengths[: int(np.searchsorted(needed, size, side="right"))]
    if len(lengths) == 0:
        return lengths
    spare = size - int(needed[len(lengths) - 1])
    gaps = np.sort(rng.integers(0, spare + 1, size=len(lengths)))
    return gaps + np.concatenate([[0], np.cumsum(lengths + spans.min_space)[:-1]])


def span_masks(
    sizes: np.ndarray, width: int, spans: SpanMaskConfig, clip_seeds: np.ndarray, purpose: int = clip_rng.MASK
) -> np.ndarray:
    """Masks of a batch, (B, width) bool, from the clips' seeds; positions from ``sizes[b]`` on are never masked."""
    masks = np.zeros((len(sizes), width), dtype=bool)
    for row, size, seed in zip(masks, sizes, clip_seeds, strict=True):
        row[:size] = span_mask(int(size), spans, clip_rng.clip_generator(seed, purpose))
    return masks


def masked_positions(masks: np.ndarray) -> np.ndarray:
    """Positions of the masked frames of (B, F) among all B x F frames, (S,) int64."""
    return np.flatnonzero(masks)


class MaskedFrames(NamedTuple):
    """The masked frames of a batch.

    Attributes:
        mask: (B, F) bool, True for masked frames.
        indices: (S,) int64, positions of the masked frames outside the padding among all B x F frames.
    """

    mask: Tensor
    indices: Tensor

    @classmethod
    def sample(
        cls, x: Tensor, padding: FramePadding | None, spans: SpanMaskConfig, clip_seeds: np.ndarray
    ) -> "MaskedFrames":
        """Sample masks for frames x (B, F, D), without the padding; on the CPU, without waiting for the device."""
        clips, frames, _ = x.shape
        sizes = np.full(clips, frames) if padding is None else padding.counts
        masks = span_masks(sizes, frames, spans, clip_seeds)
        return cls(batch.to_device(masks, x.device), batch.to_device(masked_positions(masks), x.device))

    @classmethod
    def from_mask(cls, mask: Tensor, padding: FramePadding | None) -> "MaskedFrames":
        """Use a mask (B, F) bool on the device. Waits for the device. Padded frames are not predicted."""
        real = mask if padding is None else mask & ~padding.mask
        return cls(mask, real.flatten().nonzero().squeeze(1))

    def select(self, values: Tensor, first_axis: int = 0) -> Tensor:
        """Select the masked frames of values (..., B, F, ...), where B is the first axis: (..., S, ...)."""
        assert values.shape[first_axis : first_axis + 2] == self.mask.shape
        return values.flatten(first_axis, first_axis + 1).index_select(first_axis, self.indices)


@dataclass(frozen=True)
class MaskReplacement:
    """What replaces the features of a masked frame: the mask embedding, except with these probabilities.

    Attributes:
        keep_prob: probability that the frame keeps its own features; it is predicted all the same.
        other_prob: probability that it takes the features of another frame.
        scope: take that frame from the same clip (in_sample) or from any clip of the batch (in_batch).

    Raises:
        ValueError: if a value is invalid.
    """

    keep_prob: float = 0.0
    other_prob: float = 0.0
    scope: str = "in_sample"

    def __post_init__(self) -> None:
        if self.scope not in ("in_sample", "in_batch"):
            raise ValueError(f"mask_replace_type is {self.scope!r}, expected in_sample or in_batch.")
        if min(self.keep_prob, self.other_prob) < 0 or self.keep_prob + self.other_prob > 1:
            raise ValueError(
                f"mask_origin is {self.keep_prob} and mask_replace {self.other_prob}, expected two probabilities of at "
                f"least 0 whose sum is at most 1."
            )


def replace_masked(
    x: Tensor, mask: Tensor, embedding: nn.Parameter, replacement: MaskReplacement, clip_seeds: np.ndarray
) -> Tensor:
    """Replace the features of masked frames by the mask embedding, or as ``replacement`` says.

    Args:
        x: (B, F, D).
        mask: (B, F) bool.
        embedding: (D,).
        replacement: probabilities of the alternatives.
        clip_seeds: (B,), for the random numbers.

    Returns:
        (B, F, D).
    """
    masked = torch.where(mask.unsqueeze(-1), embedding.to(x.dtype), x)
    if replacement.keep_prob == 0 and replacement.other_prob == 0:
        return masked
    clips, frames = mask.shape
    u = clip_rng.uniforms(clip_seeds, clip_rng.MASK_REPLACEMENT, 2 * frames)
    kind, place = (batch.to_device(part, x.device).unsqueeze(-1) for part in (u[:, :frames], u[:, frames:]))
    if replacement.scope == "in_batch":
        other = x.reshape(clips * frames, -1)[(place * clips * frames).long().squeeze(-1)]
    else:
        other = x.gather(1, (place * frames).long().expand_as(x))
    keep = kind < replacement.keep_prob
    take_other = ~keep & (kind < replacement.keep_prob + replacement.other_prob)
    masked = torch.where(mask.unsqueeze(-1) & keep, x, masked)
    return torch.where(mask.unsqueeze(-1) & take_other, other, masked)


def mask_channels(x: Tensor, spans: SpanMaskConfig, clip_seeds: np.ndarray) -> Tensor:
    """Set sampled channels of x (B, F, D) to zero in all frames of a clip."""
    clips, _, width = x.shape
    if spans.prob == 0:
        return x
    masked = span_masks(np.full(clips, width), width, spans, clip_seeds, clip_rng.CHANNEL_MASK)
    return x.masked_fill(batch.to_device(masked, x.device).unsqueeze(1), 0.0)


def step_schedule(values: list[float], steps: list[float], default: float, name: str) -> Callable[[int], float]:
    """A step function of the update number: ``values[i]`` before update ``steps[i]``, then the last value.

    It depends on the update number only, so a resumed run has the right value.

    Args:
        values: the values in order; empty for ``default`` throughout.
        steps: the updates at which the next value begins.
        default: the value without a schedule.
        name: of the option, for the message.

    Raises:
        ValueError: unless there is exactly one step fewer than values and the steps increase.
    """
    if not values and not steps:
        return lambda update: default
    if len(steps) != len(values) - 1 or sorted(steps) != steps:
        raise ValueError(
            f"{name} {values} with {name}_step {steps}: expected increasing updates, one fewer than the values."
        )
    return lambda update: values[int(np.searchsorted(steps, update, side="right"))]
