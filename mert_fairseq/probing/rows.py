"""The features of one split, row by row: a row is a window of a clip, or one of its frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mert_fairseq.probing.probe_data import Clip

# Shape letters: S states of the encoder, W rows, D width, N clips, U scored units.


@dataclass(frozen=True)
class Rows:
    """Features and labels of a split.

    Attributes:
        states: S tensors of (W, D), float32 or float16; possibly memory-mapped.
        counts: (N,) rows of each clip, in the order of ``clips``.
        clips: the N clips.
        targets: targets as encoded by the objective: (N, ...), or (W, ...) for frames.
        per_row: whether ``targets`` has one entry per row, not per clip.
    """

    states: Sequence[Tensor]
    counts: Tensor
    clips: Sequence[Clip]
    targets: Tensor
    per_row: bool = False

    @cached_property
    def first(self) -> Tensor:
        """(N + 1,) first row of each clip, and the end."""
        return torch.cat([torch.zeros(1, dtype=torch.int64), self.counts.cumsum(0)])

    @cached_property
    def clip_of_row(self) -> Tensor:
        """(W,) the clip of each row."""
        return torch.arange(len(self.clips)).repeat_interleave(self.counts)

    @cached_property
    def units(self) -> list[str]:
        """The U songs, or clips, that are scored."""
        return list(dict.fromkeys(clip.unit for clip in self.clips))

    @cached_property
    def unit_of_row(self) -> Tensor:
        """(W,) the scored unit of each row."""
        place = {unit: index for index, unit in enumerate(self.units)}
        return torch.tensor([place[clip.unit] for clip in self.clips])[self.clip_of_row]

    @cached_property
    def unit_targets(self) -> Tensor:
        """(U, ...) targets of the scored units: those of their first clips."""
        place: dict[str, int] = {}
        for index, clip in enumerate(self.clips):
            place.setdefault(clip.unit, index)
        return self.targets[torch.tensor(list(place.values()))]

    def targets_of(self, rows: Tensor) -> Tensor:
        """Targets of some rows."""
        return self.targets[rows if self.per_row else self.clip_of_row[rows]]

    def unit_means(self, outputs: Tensor) -> Tensor:
        """Average outputs over the rows of each scored unit: (R, W, K) to (R, U, K)."""
        units = self.unit_of_row.to(outputs.device)
        sums = outputs.new_zeros(outputs.shape[0], len(self.units), outputs.shape[2]).index_add_(1, units, outputs)
        return sums / torch.bincount(units, minlength=len(self.units))[:, None]
