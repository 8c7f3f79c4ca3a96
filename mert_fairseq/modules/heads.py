"""Prediction heads: codes by cosine similarity, spectra by linear regression."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Shape letters: Q codebooks, S masked frames, D projected width, V entries of a dictionary, B batch, F frames, K bins.


class CodePrediction(NamedTuple):
    """Predictions for one codebook: logits (S, V) float32 over the whole dictionary, and target classes (S,) int64."""

    codebook: int
    logits: Tensor
    targets: Tensor


class CodePredictions(list[CodePrediction]):
    """Predictions for P codebooks, one by one and, for the loss, in as few tensors as possible.

    Args:
        codebooks: numbers of the P codebooks.
        stacks: their logits in order, as tensors (P', S, V) float32, one or more.
        targets: (P, S) int64.
    """

    def __init__(self, codebooks: Sequence[int], stacks: Sequence[Tensor], targets: Tensor) -> None:
        logits = [each for stack in stacks for each in stack.unbind()]
        super().__init__(map(CodePrediction, codebooks, logits, targets.unbind()))
        self.codebooks, self.stacks, self.targets = list(codebooks), list(stacks), targets


def unit_vectors(x: Tensor) -> Tensor:
    """Vectors (..., D) scaled to length 1, always in float32."""
    with torch.autocast(x.device.type, enabled=False):
        return F.normalize(x.float(), dim=-1, eps=1e-8)


def codebook_logits(frames_QSD: Tensor, codes: Sequence[Tensor]) -> list[Tensor]:
    """Similarity of each frame with each code of its codebook, by matrix products.

    HuBERT computes the same numbers as "positive first, then all codes, duplicates at minus infinity". That repeats
    every code for every frame: with 8 codebooks of 1028 codes and 800 frames it needs 6 GB and several hundred times
    the time.

    Args:
        frames_QSD: unit vectors, (Q, S, D) float32.
        codes: Q tensors (V, D) float32: unit vectors divided by the temperature.

    Returns:
        Cosines divided by the temperature, float32: one tensor (Q, S, V), or Q tensors (1, S, V) if the codebooks have
        several sizes or are processed one by one.
    """
    with torch.autocast(frames_QSD.device.type, enabled=False):
        if len({len(entries) for entries in codes}) == 1 and joint_product_pays(frames_QSD.device):
            return [torch.bmm(frames_QSD, torch.stack(list(codes)).transpose(1, 2))]
        return [(frames @ entries.t()).unsqueeze(0) for frames, entries in zip(frames_QSD, codes, strict=True)]


def joint_product_pays(device: torch.device) -> bool:
    """Whether one product for all codebooks is faster: fewer launches. On a CPU, one codebook fits into the cache."""
    return device.type != "cpu"


def target_first(prediction: CodePrediction) -> Tensor:
    """The logits with the target's column swapped with the first one, (S, V).

    In fairseq's ``hubert`` criterion class 0 is the target. Cross entropy and the rank of the target do not change.
    """
    target = prediction.targets.unsqueeze(1)
    swapped = prediction.logits.scatter(1, target, prediction.logits[:, :1])
    first = prediction.logits.gather(1, target)
    return torch.cat([first, swapped[:, 1:]], dim=1)


class SpectrumHead(nn.Module):
    """Predicts a teacher's spectrum with a linear layer. The teacher is not a module, so checkpoints do not contain it.

    Args:
        width: D of the encoder.
        bins: K, number of bins of the spectrum.
        teacher: maps a wave (B, T) float32 to (B, F', K) float32.
        standardise: scale the target to zero mean and unit deviation over the whole batch, before it is trimmed.
    """

    def __init__(self, width: int, bins: int, teacher: Callable[[Tensor], Tensor], standardise: bool = False) -> None:
        super().__init__()
        self.teacher = teacher
        self.standardise = standardise
        self.fc = nn.Linear(width, bins)

    @torch.no_grad()
    def target(self, wave: Tensor, frames: int) -> Tensor:
        """The teacher's spectrum of the unmixed wave (B, T), trimmed to the encoder's frames: (B, F, K) float32."""
        with torch.autocast(wave.device.type, enabled=False):
            spectrum = self.teacher(wave.float())
        if self.standardise:  # the constant is that of the published models
            spectrum = (spectrum - spectrum.mean()) / (spectrum.std() + 1e-5)
        return spectrum[:, :frames]

    def loss(self, frames_SD: Tensor, target_SK: Tensor) -> Tensor:
        """Mean squared error over frames and bins; 0 without frames, where a mean would be NaN.

        Args:
            frames_SD: encoder output of the predicted frames.
            target_SK: their spectrum.
        """
        return F.mse_loss(self.fc(frames_SD).float(), target_SK, reduction="sum") / max(1, target_SK.numel())
