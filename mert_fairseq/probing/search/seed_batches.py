"""Batches for many runs: each seed has its own order of clips, and all runs of a seed see the same rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mert_fairseq.probing.rows import Rows


@dataclass(frozen=True)
class Batch:
    """Rows for G seeds: ``rows`` (G, B) indices, ``weights`` (G, B), 0 where a seed has fewer rows than the others."""

    rows: Tensor
    weights: Tensor


class SeedStreams:
    """The random numbers of each seed: the order of clips, where crops begin, dropout.

    Args:
        seeds: distinct.
        device: where dropout masks are drawn.
    """

    def __init__(self, seeds: list[int], device: str) -> None:
        self.seeds, self.device = seeds, device
        self.orders = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.drops = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def epoch(self, rows: Rows, batch_clips: int, crop_rows: int | None) -> Iterator[Batch]:
        """One pass over all clips.

        Args:
            rows: the training split.
            batch_clips: clips per batch; all rows of a clip are in it.
            crop_rows: if given, a random crop of this many rows of each clip (the whole clip if it has fewer).
        """
        orders = [torch.randperm(len(rows.clips), generator=generator) for generator in self.orders]
        for start in range(0, len(rows.clips), batch_clips):
            chosen = [
                self._rows(rows, order[start : start + batch_clips], crop_rows, generator)
                for order, generator in zip(orders, self.orders, strict=True)
            ]
            longest = max(map(len, chosen))
            padded = torch.stack([torch.nn.functional.pad(each, (0, longest - len(each))) for each in chosen])
            lengths = torch.tensor([len(each) for each in chosen])
            yield Batch(padded, (torch.arange(longest) < lengths[:, None]).float())

    @staticmethod
    def _rows(rows: Rows, clips: Tensor, crop_rows: int | None, generator: torch.Generator) -> Tensor:
        first, counts = rows.first[clips], rows.counts[clips]
        if crop_rows is not None:
            room = (counts - crop_rows).clamp(min=0)
            first = first + (torch.rand(len(clips), generator=generator) * (room + 1)).long().clamp(max=room)
            counts = counts.clamp(max=crop_rows)
        before = counts.cumsum(0) - counts
        return torch.arange(int(counts.sum())) + (first - before).repeat_interleave(counts)

    def masks(self, batch: Batch, width: int, dropout: float) -> Tensor | None:
        """(G, B, width) of 0 and 1 / (1 - dropout), each seed's own; None without dropout.

        Each seed draws for its own rows only, so that its numbers do not depend on the other seeds.
        """
        if not dropout:
            return None
        masks = torch.ones(*batch.rows.shape, width, device=self.device)
        for mask, rows, generator in zip(masks, batch.weights.sum(1).long().tolist(), self.drops, strict=True):
            kept = torch.rand(rows, width, generator=generator, device=self.device) >= dropout
            mask[:rows] = kept / (1 - dropout)
        return masks
