"""``Encoder``: a frozen model as extraction and probing use it, whichever library trained it."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# Shape letters: B batch, T samples, L Transformer layers, N requested states, F frames, D width.


class Encoder(ABC):
    """A frozen model in evaluation mode, from waves to the states of its layers.

    A model with L Transformer layers has L + 1 states, numbered as ``hidden_states`` of transformers: state 0 is what
    the first layer receives (conv features, projected, with positions), state i is the output of layer i, and state L
    is the output of the model, with the final norm of pre-norm models.

    Attributes:
        name: where it was loaded from.
        sample_rate: of its waves, in Hz.
        hop_samples: from one frame to the next.
        receptive_samples: samples that one frame of the conv stack sees; the shortest wave.
        num_layers: L + 1, the states.
        width: D.
        digest: SHA-256 of the weights, hexadecimal; of a single file it is what sha256sum prints.
        device: where it runs.
        normalizes: whether ``layers`` first scales each wave to zero mean and unit variance; set it to False if the
            caller does this for whole files.
        model: the torch module behind it.
    """

    name: str
    sample_rate: int
    hop_samples: int
    receptive_samples: int
    num_layers: int
    width: int
    digest: str
    device: torch.device
    normalizes: bool
    model: Any

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second: 75 for MERT."""
        return self.sample_rate / self.hop_samples

    def num_frames(self, samples: int) -> int:
        """Frames of a wave, 0 if it is shorter than one frame sees."""
        return max(0, (samples - self.receptive_samples) // self.hop_samples + 1)

    def check_layers(self, layers: Iterable[int]) -> list[int]:
        """The layers as a list.

        Raises:
            ValueError: if the list is empty, or the model does not have one of them.
        """
        chosen = list(layers)
        if not chosen:
            raise ValueError(f"{self.name}: found no layers, expected some of 0 to {self.num_layers - 1}.")
        for layer in chosen:
            if not 0 <= layer < self.num_layers:
                raise ValueError(
                    f"{self.name}: found layer {layer}, expected 0 to {self.num_layers - 1}: 0 is the input of the "
                    f"first Transformer layer, {self.num_layers - 1} the output of the last."
                )
        return chosen

    def layers(self, waves: Tensor, only: Sequence[int] | None = None) -> Tensor:
        """States of a batch of waves of one length.

        Args:
            waves: (B, T) float32 in [-1, 1], mono, at ``sample_rate``. The encoder standardises them if its training
                did.
            only: the states to return, in this order; None for all. Layers above the highest are not computed.

        Returns:
            (B, N, F, D) float32 on ``device``; N is L + 1, or the length of ``only``.

        Raises:
            ValueError: if a wave is shorter than one frame, or there is no such layer.
        """
        if waves.dim() != 2 or not self.num_frames(waves.shape[1]):
            raise ValueError(
                f"{self.name}: found waves of shape {tuple(waves.shape)}, expected (clips, samples) with at least "
                f"{self.receptive_samples} samples, which one frame sees."
            )
        chosen = self.check_layers(range(self.num_layers) if only is None else only)
        with torch.no_grad():  # not inference_mode: probes train on these tensors
            states = self._states(waves.to(self.device, torch.float32), max(chosen))
            return torch.stack([states[layer].float() for layer in chosen], dim=1)

    @abstractmethod
    def _states(self, waves: Tensor, highest: int) -> Sequence[Tensor]:
        """States 0 to ``highest`` at least, each (B, F, D), of (B, T) float32 on the device."""


def digest_of(files: Sequence[Path]) -> str:
    """SHA-256 of a file, or of the digests of several in the order given, hexadecimal."""
    digests = []
    for path in files:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
