"""The genre classifiers' loss: cross entropy over one genre a track, or binary cross entropies over several."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor, nn

WEIGHTINGS = ("none", "balanced", "sqrt")


@dataclass
class GenreCrossEntropyConfig(FairseqDataclass):
    class_weights: str = field(
        default="none",
        metadata={
            "help": "weights of the genres, from their training tracks: none; balanced (rare genres weigh as much as "
            "frequent ones in sum); sqrt (half way, on a log scale). none maximises accuracy, balanced macro F1"
        },
    )
    label_smoothing: float = field(
        default=0.0,
        metadata={"help": "share of the target spread evenly over all genres, 0 to below 1; 0 for none"},
    )


@register_criterion("genre_cross_entropy", dataclass=GenreCrossEntropyConfig)
class GenreCrossEntropy(FairseqCriterion):
    """Loss in nats, summed over tracks; ``sample_size`` is the number of tracks.

    The model is called as ``model(**sample["net_input"])`` and gives logits (B, K). ``sample["target"]`` decides:
    (B,) int64 is one genre a track, and the loss softmax cross entropy; (B, K) float of 0 and 1 is several, and the
    loss the sum of K binary cross entropies. Class weights and label smoothing shape the training; in evaluation the
    loss is without them. ``accuracy`` is the share of tracks whose most probable genre is one of theirs.

    Args:
        task: with class weights, its ``genre_counts`` are the training tracks of each genre.
        class_weights: none, balanced or sqrt.
        label_smoothing: 0 to below 1.

    Raises:
        ValueError: if an option is out of range, or a genre that must be weighted has no training track.
    """

    def __init__(self, task: Any, class_weights: str = "none", label_smoothing: float = 0.0) -> None:
        super().__init__(task)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"criterion.label_smoothing is {label_smoothing}, expected at least 0 and below 1.")
        self.label_smoothing = label_smoothing
        weights = None if class_weights == "none" else class_weights_of(task.genre_counts, class_weights)
        self.register_buffer("weights", weights, persistent=False)

    def forward(
        self, model: nn.Module, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """Loss of a batch, its tracks, and what to log (sums, so that they add up).

        A loss that is not finite is returned as it is: in fp16 the trainer skips the update, else it ends the run.

        Raises:
            ValueError: if the target does not fit the logits.
        """
        logits, target = model(**sample["net_input"]).float(), sample["target"]
        several = _check_shapes(logits, target)
        weights, smoothing = (self.weights, self.label_smoothing) if model.training else (None, 0.0)
        weights = None if weights is None else weights.float()
        if several:
            loss = _several_genres_loss(logits, target.float(), weights, smoothing)
        else:
            loss = F.cross_entropy(logits, target, weights, label_smoothing=smoothing, reduction="sum")
        best = logits.argmax(-1)
        hits = target.gather(1, best[:, None]).sum() if several else torch.eq(best, target).sum()
        tracks = target.size(0)
        log = {
            "loss": loss.detach(),
            "correct": hits.detach().float(),
            "ntokens": tracks,
            "nsentences": tracks,
            "sample_size": tracks,
            "training": int(model.training),
        }
        return loss, tracks, log

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        """Log ``loss`` and ``accuracy`` as means over tracks; in training also those of the batch alone.

        ``batch_loss`` and ``batch_accuracy`` are the last batch's, ``running_loss`` the mean since the epoch began.
        """
        total = {name: float(sum(out.get(name, 0) for out in logging_outputs)) for name in ("loss", "correct")}
        tracks = sum(out.get("sample_size", 0) for out in logging_outputs)
        if not tracks:
            return
        loss, accuracy = total["loss"] / tracks, total["correct"] / tracks
        metrics.log_scalar("loss", loss, tracks, round=5)
        metrics.log_scalar("accuracy", accuracy, tracks, round=5)
        if sum(out.get("training", 0) for out in logging_outputs):
            metrics.log_scalar("batch_loss", loss, 0, round=5)  # weight 0: fairseq shows the last one
            metrics.log_scalar("batch_accuracy", accuracy, 0, round=5)
            if epoch_loss := metrics.get_meter("train", "loss"):
                metrics.log_scalar("running_loss", epoch_loss.avg, 0, round=5)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """Yes: everything logged is a sum."""
        return True


def class_weights_of(counts: Sequence[int], weighting: str) -> Tensor:
    """Weights whose mean over the training tracks is 1.

    Args:
        counts: training tracks of each of K genres.
        weighting: balanced (weight goes as 1 / count) or sqrt (as 1 / sqrt(count)).

    Returns:
        (K,) float32; for balanced N / (K count), as scikit-learn has it.

    Raises:
        ValueError: if a genre has no track, or the weighting is unknown.
    """
    if weighting not in WEIGHTINGS[1:]:
        raise ValueError(f"criterion.class_weights is {weighting!r}, expected one of {', '.join(WEIGHTINGS)}.")
    if not all(counts):
        raise ValueError(
            f"criterion.class_weights={weighting}: genre {list(counts).index(0)} of {len(counts)} has no training "
            f"track, so it has no weight. Choose a larger subset, or set criterion.class_weights: none."
        )
    raw = [1 / (count if weighting == "balanced" else math.sqrt(count)) for count in counts]
    mean = sum(weight * count for weight, count in zip(raw, counts, strict=True)) / sum(counts)
    return torch.tensor([weight / mean for weight in raw])


def _several_genres_loss(logits: Tensor, target: Tensor, weights: Tensor | None, smoothing: float) -> Tensor:
    """A genre's weight counts for the tracks that have it."""
    target = target * (1 - smoothing) + 0.5 * smoothing
    return F.binary_cross_entropy_with_logits(logits, target, pos_weight=weights, reduction="sum")


def _check_shapes(logits: Tensor, target: Tensor) -> bool:
    """Whether tracks have several genres."""
    several = target.dim() == 2
    if target.shape == (logits.shape if several else logits.shape[:1]):
        return several
    raise ValueError(
        f"genre_cross_entropy: logits {tuple(logits.shape)} and target {tuple(target.shape)}; expected (B, K) and (B,) "
        f"or (B, K). The model's number of genres must be the vocabulary's."
    )
