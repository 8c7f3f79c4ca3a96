"""What the masked frames predict: codes by cosine similarity, spectra by regression."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Shape letters: S masked frames, D projected width, V entries of a dictionary, B batch, F frames, K bins.


class CodePrediction(NamedTuple):
    """Predictions of one codebook: logits (S, V) float32 over the whole dictionary, and classes (S,) int64."""

    codebook: int
    logits: Tensor
    targets: Tensor


def codebook_logits(projected: Tensor, embeddings: Tensor, scale: Tensor | float) -> Tensor:
    """Cosine similarity of each frame with each code, scaled: one normalised matrix product.

    HuBERT writes the same numbers as "positive first, then all codes, duplicates at minus infinity", which repeats
    every code for every frame: at 8 codebooks of 1028 and 800 frames 6 GB and several hundred times the time.

    Args:
        projected: (S, D).
        embeddings: (V, D).
        scale: factor on the cosine; the inverse of the temperature.

    Returns:
        (S, V) float32, whatever the input's precision.
    """
    with torch.autocast(projected.device.type, enabled=False):
        frames = F.normalize(projected.float(), dim=-1, eps=1e-8)
        codes = F.normalize(embeddings.float(), dim=-1, eps=1e-8)
        return frames @ codes.t() * scale


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
