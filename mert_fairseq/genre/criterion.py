"""Loss of the genre classifiers: cross entropy (single-label tracks) or binary cross entropy (multi-label tracks)."""

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
            "help": "genre weights from the numbers of training tracks: none; balanced (each genre has the same total "
            "weight); sqrt (half way between the two, on a log scale). none is best for accuracy, balanced for macro F1"
        },
    )
    label_smoothing: float = field(
        default=0.0,
        metadata={"help": "share of the target spread evenly over all genres, at least 0 and below 1"},
    )


@register_criterion("genre_cross_entropy", dataclass=GenreCrossEntropyConfig)
class GenreCrossEntropy(FairseqCriterion):
    """Loss in nats, summed over tracks; ``sample_size`` is the number of tracks.

    ``model(**sample["net_input"])`` returns logits (B, K). The shape of ``sample["target"]`` selects the loss:
    (B,) int64 means one genre per track and softmax cross entropy; (B, K) float of 0 and 1 means multi-label tracks
    and the sum of K binary cross entropies. Class weights and label smoothing apply in training only. ``accuracy`` is
    the share of tracks whose most probable genre is one of their genres.

    Args:
        task: its ``genre_counts`` (training tracks per genre) are read if there are class weights.
        class_weights: none, balanced or sqrt.
        label_smoothing: at least 0 and below 1.

    Raises:
        ValueError: if an option is out of range, or a genre that needs a weight has no training track.
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
        """Return the loss of a batch, its number of tracks, and sums to log.

        A loss that is not finite is returned unchanged: in fp16 the trainer skips the update, else it stops the run.

        Raises:
            ValueError: if the target does not fit the logits.
        """
        logits, target = model(**sample["net_input"]).float(), sample["target"]
        multi_label = _check_shapes(logits, target)
        weights, smoothing = (self.weights, self.label_smoothing) if model.training else (None, 0.0)
        weights = None if weights is None else weights.float()
        if multi_label:
            loss = _multi_label_loss(logits, target.float(), weights, smoothing)
        else:
            loss = F.cross_entropy(logits, target, weights, label_smoothing=smoothing, reduction="sum")
        best = logits.argmax(-1)
        hits = target.gather(1, best[:, None]).sum() if multi_label else torch.eq(best, target).sum()
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
        """Log ``loss`` and ``accuracy`` as means over tracks.

        Training also logs ``batch_loss`` and ``batch_accuracy`` of the last batch, and ``running_loss``, the mean since
        the epoch began.
        """
        total = {name: float(sum(out.get(name, 0) for out in logging_outputs)) for name in ("loss", "correct")}
        tracks = sum(out.get("sample_size", 0) for out in logging_outputs)
        if not tracks:
            return
        loss, accuracy = total["loss"] / tracks, total["correct"] / tracks
        metrics.log_scalar("loss", loss, tracks, round=5)
        metrics.log_scalar("accuracy", accuracy, tracks, round=5)
        if sum(out.get("training", 0) for out in logging_outputs):
            metrics.log_scalar("batch_loss", loss, 0, round=5)  # weight 0: fairseq shows the last value
            metrics.log_scalar("batch_accuracy", accuracy, 0, round=5)
            if epoch_loss := metrics.get_meter("train", "loss"):
                metrics.log_scalar("running_loss", epoch_loss.avg, 0, round=5)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """True: everything logged is a sum."""
        return True


def class_weights_of(counts: Sequence[int], weighting: str) -> Tensor:
    """Compute genre weights whose mean over the training tracks is 1.

    Args:
        counts: training tracks of each of K genres.
        weighting: balanced (weight proportional to 1 / count) or sqrt (to 1 / sqrt(count)).

    Returns:
        (K,) float32; balanced is N / (K count), as in scikit-learn.

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


def _multi_label_loss(logits: Tensor, target: Tensor, weights: Tensor | None, smoothing: float) -> Tensor:
    """Binary cross entropy; a genre's weight applies to the tracks that have it."""
    target = target * (1 - smoothing) + 0.5 * smoothing
    return F.binary_cross_entropy_with_logits(logits, target, pos_weight=weights, reduction="sum")


def _check_shapes(logits: Tensor, target: Tensor) -> bool:
    """Check the shapes and return whether the target is multi-label."""
    multi_label = target.dim() == 2
    if target.shape == (logits.shape if multi_label else logits.shape[:1]):
        return multi_label
    raise ValueError(
        f"genre_cross_entropy: logits {tuple(logits.shape)} and target {tuple(target.shape)}; expected (B, K) and (B,) "
        f"or (B, K). The model and the vocabulary must have the same number of genres."
    )
