"""Batches of windows of one length, and the model run on them: in float32, or in bfloat16 with its measured error."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mert_fairseq.extraction.frozen_encoder import Encoder
from mert_fairseq.extraction.reading import FileWindow


class Item(NamedTuple):
    """A window and the name of its file."""

    file: str
    window: FileWindow


def batches(items: Iterable[Item], batch_size: int, most_waiting: int) -> Iterator[list[Item]]:
    """Group windows of equal length, which need no padding.

    Args:
        items: in any order.
        batch_size: windows per batch at most.
        most_waiting: windows that may wait for others of their length; beyond that the largest group is run.
    """
    waiting: dict[int, list[Item]] = {}
    for item in items:
        samples = len(item.window.window.wave)
        group = waiting.setdefault(samples, [])
        group.append(item)
        if len(group) >= batch_size or sum(map(len, waiting.values())) > most_waiting:
            yield waiting.pop(max(waiting, key=lambda length: len(waiting[length])))
    yield from waiting.values()


class Precision:
    """Runs an encoder on batches.

    Args:
        encoder: the model.
        layers: the states to return.
        bf16: run matrix products and convolutions in bfloat16.

    Attributes:
        error: of bfloat16 on the first window: the norm of the difference to float32 over the norm of float32, of the
            layer where it is largest; None in float32, or before the first window.
        error_layer: that layer.
    """

    def __init__(self, encoder: Encoder, layers: Sequence[int], bf16: bool) -> None:
        self._encoder, self._layers, self._bf16 = encoder, list(layers), bf16
        self.error: float | None = None
        self.error_layer: int | None = None

    def layers(self, waves: Tensor) -> Tensor:
        """(B, T) float32 to (B, N, F, D) float32."""
        if not self._bf16:
            return self._encoder.layers(waves, self._layers)
        with torch.autocast(self._encoder.device.type, torch.bfloat16):
            states = self._encoder.layers(waves, self._layers)
        if self.error is None:
            exact = self._encoder.layers(waves[:1], self._layers)[0]
            errors = (states[0] - exact).flatten(1).norm(dim=1) / exact.flatten(1).norm(dim=1)
            self.error, place = float(errors.max()), int(errors.argmax())
            self.error_layer = self._layers[place]
        return states
