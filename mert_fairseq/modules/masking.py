"""Which frames are masked and what stands in their place (HuBERT, arXiv:2106.07447; wav2vec 2.0, arXiv:2006.11477)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mert_fairseq.modules import clip_rng
from mert_fairseq.modules.padding import FramePadding

SELECTIONS = ("static", "uniform", "normal", "poisson")


@dataclass(frozen=True)
class SpanLaw:
    """How spans are drawn, along frames or along channels.

    Attributes:
        prob: spans start so often that this share would be masked if none overlapped.
        length: of a span; the mean where lengths are drawn.
        selection: static, uniform in [other, 2 length], normal with deviation ``other``, or poisson.
        other: see selection.
        no_overlap: keep spans apart.
        min_space: between two spans that do not overlap.
        min_masks: at least so many spans.
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


def span_mask(size: int, law: SpanLaw, rng: np.random.Generator) -> np.ndarray:
    """Masked positions of one row, (size,) bool; the law of fairseq's ``compute_mask_indices``, one row at a time.

    fairseq then unmasks random positions until all rows of a batch have the same number. Here a row keeps its own, so
    that a clip's mask does not depend on the clips beside it, nor on how they are spread over processes.
    """
    mask = np.zeros(size, dtype=bool)
    if law.prob == 0:
        return mask
    spans = max(law.min_masks, int(law.prob * size / law.length + rng.random()))
    lengths = _span_lengths(spans, law, rng)
    if lengths.sum() == 0:
        return mask
    starts = _separate_starts(size, lengths, law, rng) if law.no_overlap else _free_starts(size, lengths, rng)
    for start, length in zip(starts, lengths, strict=False):
        mask[start : start + length] = True
    return mask


def _span_lengths(spans: int, law: SpanLaw, rng: np.random.Generator) -> np.ndarray:
    match law.selection:
        case "static":
            return np.full(spans, law.length)
        case "uniform":
            return rng.integers(int(law.other), 2 * law.length + 1, size=spans)
        case "normal":
            return np.maximum(1, np.rint(rng.normal(law.length, law.other, size=spans)).astype(int))
        case _:
            return rng.poisson(law.length, size=spans)


def _free_starts(size: int, lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    last = size - lengths.min()
    if last <= len(lengths):  # a row shorter than its spans: let them run over its end
        last = len(lengths) + 1
    return rng.choice(last, len(lengths), replace=False)


def _separate_starts(size: int, lengths: np.ndarray, law: SpanLaw, rng: np.random.Generator) -> np.ndarray:
    """Spans in random order with random gaps of at least ``min_space``; spans that find no room are left out."""
    needed = np.cumsum(lengths + law.min_space) - law.min_space
    lengths = lengths[: int(np.searchsorted(needed, size, side="right"))]
    if len(lengths) == 0:
        return lengths
    spare = size - int(needed[len(lengths) - 1])
    gaps = np.sort(rng.integers(0, spare + 1, size=len(lengths)))
    return gaps + np.concatenate([[0], np.cumsum(lengths + law.min_space)[:-1]])


def span_masks(
    sizes: np.ndarray, width: int, law: SpanLaw, clip_seeds: np.ndarray, purpose: int = clip_rng.MASK
) -> np.ndarray:
    """Masks of a batch, (B, width) bool, from the clips' seeds; positions from ``sizes[b]`` on are never masked."""
    masks = np.zeros((len(sizes), width), dtype=bool)
    for row, size, seed in zip(masks, sizes, clip_seeds, strict=True):
        row[:size] = span_mask(int(size), law, clip_rng.clip_generator(seed, purpose))
    return masks


class MaskedFrames(NamedTuple):
    """The masked frames of a batch.

    Attributes:
        frames: (B, F) bool.
        places: (S,) int64, where those that are not padding lie among all B x F frames.
    """

    frames: Tensor
    places: Tensor

    @classmethod
    def drawn(cls, x: Tensor, padding: FramePadding | None, law: SpanLaw, clip_seeds: np.ndarray) -> "MaskedFrames":
        """Draw for frames x (B, F, D), none in the padding; on the CPU, so that the device need not wait."""
        clips, frames, _ = x.shape
        sizes = np.full(clips, frames) if padding is None else padding.counts
        masks = span_masks(sizes, frames, law, clip_seeds)
        return cls(clip_rng.to_device(masks, x.device), clip_rng.to_device(np.flatnonzero(masks), x.device))

    @classmethod
    def given(cls, masks: Tensor, padding: FramePadding | None) -> "MaskedFrames":
        """Of masks (B, F) bool on the device, which is waited for; those in the padding are not predicted."""
        real = masks if padding is None else masks & ~padding.mask
        return cls(masks, real.flatten().nonzero().squeeze(1))

    def take(self, values: Tensor, first_axis: int = 0) -> Tensor:
        """Of values (..., B, F, ...), B the first axis, those of the masked frames: (..., S, ...)."""
        assert values.shape[first_axis : first_axis + 2] == self.frames.shape
        return values.flatten(first_axis, first_axis + 1).index_select(first_axis, self.places)


@dataclass(frozen=True)
class Filling:
    """What stands in a masked frame's place.

    Attributes:
        origin: probability that it keeps its own features; it is predicted all the same.
        replace: probability that it takes those of another frame.
        scope: that frame comes from the same clip (in_sample) or from any clip of the batch (in_batch).
    """

    origin: float = 0.0
    replace: float = 0.0
    scope: str = "in_sample"

    def __post_init__(self) -> None:
        if self.scope not in ("in_sample", "in_batch"):
            raise ValueError(f"mask_replace_type is {self.scope!r}, expected in_sample or in_batch.")
        if min(self.origin, self.replace) < 0 or self.origin + self.replace > 1:
            raise ValueError(
                f"mask_origin {self.origin} + mask_replace {self.replace} are probabilities of one draw: "
                f"each at least 0, together at most 1."
            )


def fill(x: Tensor, mask: Tensor, embedding: nn.Parameter, filling: Filling, clip_seeds: np.ndarray) -> Tensor:
    """Put the mask embedding, or what ``filling`` says, into the masked frames.

    Args:
        x: (B, F, D).
        mask: (B, F) bool.
        embedding: (D,).
        filling: the shares of the other two ways.
        clip_seeds: (B,), of the draw.
    """
    masked = torch.where(mask.unsqueeze(-1), embedding.to(x.dtype), x)
    if filling.origin == 0 and filling.replace == 0:
        return masked
    clips, frames = mask.shape
    drawn = clip_rng.uniforms(clip_seeds, clip_rng.MASK_KIND, 2 * frames)
    kind, place = (clip_rng.to_device(part, x.device).unsqueeze(-1) for part in (drawn[:, :frames], drawn[:, frames:]))
    if filling.scope == "in_batch":
        other = x.reshape(clips * frames, -1)[(place * clips * frames).long().squeeze(-1)]
    else:
        other = x.gather(1, (place * frames).long().expand_as(x))
    use = mask.unsqueeze(-1)
    masked = torch.where(use & (kind < filling.origin), x, masked)
    return torch.where(use & (kind >= filling.origin) & (kind < filling.origin + filling.replace), other, masked)


def drop_channels(x: Tensor, law: SpanLaw, clip_seeds: np.ndarray) -> Tensor:
    """Set drawn channels of x (B, F, D) to zero in all frames of a clip."""
    clips, _, width = x.shape
    if law.prob == 0:
        return x
    dead = span_masks(np.full(clips, width), width, law, clip_seeds, clip_rng.CHANNEL_MASK)
    return x.masked_fill(clip_rng.to_device(dead, x.device).unsqueeze(1), 0.0)


def staged(values: list[float], steps: list[float], default: float, name: str) -> Callable[[int], float]:
    """A schedule: ``values[i]`` until update ``steps[i]``, the last value from then on; ``default`` if there are none.

    The value follows from the update number alone, so a resumed run is in the right stage.

    Raises:
        ValueError: if there is not one step fewer than values, or steps do not rise.
    """
    if not values and not steps:
        return lambda update: default
    if len(steps) != len(values) - 1 or sorted(steps) != steps:
        raise ValueError(
            f"{name} {values} with {name}_step {steps}: expected rising updates, one fewer than the values."
        )
    return lambda update: values[int(np.searchsorted(steps, update, side="right"))]
