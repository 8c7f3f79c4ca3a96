"""What the masked frames predict: codes by cosine similarity, spectra by regression."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Shape letters: Q codebooks, S masked frames, D projected width, V entries of a dictionary, B batch, F frames, K bins.


class CodePrediction(NamedTuple):
    """Predictions of one codebook: logits (S, V) float32 over the whole dictionary, and classes (S,) int64."""

    codebook: int
    logits: Tensor
    targets: Tensor


def unit_vectors(x: Tensor) -> Tensor:
    """Vectors (..., D) scaled to length 1, in float32 whatever the input's precision."""
    with torch.autocast(x.device.type, enabled=False):
        return F.normalize(x.float(), dim=-1, eps=1e-8)


def codebook_logits(frames_QSD: Tensor, codes: Sequence[Tensor]) -> list[Tensor]:
    """Similarity of each frame with each code of its codebook, one matrix product for all codebooks of one size.

    HuBERT writes the same numbers as "positive first, then all codes, duplicates at minus infinity", which repeats
    every code for every frame: at 8 codebooks of 1028 and 800 frames 6 GB and several hundred times the time.

    Args:
        frames_QSD: unit vectors, (Q, S, D) float32.
        codes: Q of (V, D) float32: unit vectors times the inverse of the temperature.

    Returns:
        Q of (S, V) float32: the cosines over the temperature.
    """
    with torch.autocast(frames_QSD.device.type, enabled=False):
        if len({len(entries) for entries in codes}) == 1:
            return list(torch.bmm(frames_QSD, torch.stack(list(codes)).transpose(1, 2)).unbind())
        return [frames @ entries.t() for frames, entries in zip(frames_QSD, codes, strict=True)]


def target_first(prediction: CodePrediction) -> Tensor:
    """The logits with the target's column exchanged with the first, (S, V).

    fairseq's ``hubert`` criterion takes class 0 for right; cross entropy and the rank of the target do not change.
    """
    target = prediction.targets.unsqueeze(1)
    exchanged = prediction.logits.scatter(1, target, prediction.logits[:, :1])
    first = prediction.logits.gather(1, target)
    return torch.cat([first, exchanged[:, 1:]], dim=1)


class Regression(nn.Module):
    """A linear map onto a teacher's spectrum; the teacher is a plain object and leaves no trace in checkpoints.

    Args:
        width: of the encoder.
        bins: K, of the spectrum.
        teacher: (B, T) float32 wave -> (B, F', K) float32.
        standardise: give the target zero mean and unit deviation over the whole batch, before it is trimmed.
    """

    def __init__(self, width: int, bins: int, teacher: Callable[[Tensor], Tensor], standardise: bool = False) -> None:
        super().__init__()
        self.teacher = teacher
        self.standardise = standardise
        self.fc = nn.Linear(width, bins)

    @torch.no_grad()
    def target(self, wave: Tensor, frames: int) -> Tensor:
        """The teacher's spectrum of the clean wave (B, T), trimmed to the encoder's frames: (B, F, K) float32."""
        with torch.autocast(wave.device.type, enabled=False):
            spectrum = self.teacher(wave.float())
        if self.standardise:  # with the constant of the published models
            spectrum = (spectrum - spectrum.mean()) / (spectrum.std() + 1e-5)
        return spectrum[:, :frames]

    def loss(self, frames_SD: Tensor, target_SK: Tensor) -> Tensor:
        """Mean squared error over predicted frames and bins; 0 without a frame, where a mean would be NaN.

        Args:
            frames_SD: encoder output of the frames that count.
            target_SK: their spectrum.
        """
        return F.mse_loss(self.fc(frames_SD).float(), target_SK, reduction="sum") / max(1, target_SK.numel())
