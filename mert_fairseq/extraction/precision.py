"""The model in float32, or in bfloat16 with its measured error."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mert_fairseq.extraction.encoder import Encoder


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
