"""MERT's loss: codes, spectra and the feature penalty, weighted by name."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.data.dictionary import Dictionary
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor, nn

from mert_fairseq.modules.heads import CodePrediction
from mert_fairseq.options import option


@dataclass
class MERTCriterionConfig(FairseqDataclass):
    """Weights of the terms; each belongs to the term of its name, whichever others are there."""

    pred_masked_weight: float = option(1.0, "weight of the codes' cross entropy on masked frames")
    pred_nomask_weight: float = option(0.0, "the same on frames that were not masked; 0 as in the paper")
    features_pen_weight: float = option(
        10.0, "weight of the mean square of the conv features; 10 as in HuBERT and the paper"
    )
    cqt_weight: float = option(1.0, "weight of the CQT's mean squared error; 1 beat 2 and 5 in the paper")
    mel_weight: float = option(
        1.0, "weight of the log-mel spectrum's mean squared error; counts only with audio_mel_loss_m"
    )


@register_criterion("mert", dataclass=MERTCriterionConfig)
class MERTCriterion(FairseqCriterion):
    """Sum over masked frames and codebooks of cross entropy, plus sample_size times the weighted other terms.

    ``sample_size`` is the number of masked frames, so that fairseq's division by it gives means over all processes.
    Nothing here waits for the device but one check a step that the loss is finite: what is logged stays on the device
    until fairseq adds it up.
    """

    def __init__(
        self,
        task: Any,
        pred_masked_weight: float = 1.0,
        pred_nomask_weight: float = 0.0,
        features_pen_weight: float = 10.0,
        cqt_weight: float = 1.0,
        mel_weight: float = 1.0,
    ) -> None:
        super().__init__(task)
        self.code_weights = {"m": pred_masked_weight, "u": pred_nomask_weight}
        self.extra_weights = {
            "features_pen": features_pen_weight,
            "cqt_pred_m": cqt_weight,
            "mel_pred_m": mel_weight,
        }
        self.most_frequent = [
            most_frequent_class(dictionary) for dictionary in getattr(task, "dictionaries", None) or []
        ]

    def forward(
        self, model: nn.Module, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """Loss of a batch, the frames that it sums over, and what to log.

        fairseq adds logs over ranks and micro-batches by their place, tensors and numbers apart: every batch therefore
        logs the same names, in the same order, each as the same kind.

        Raises:
            ValueError: if there is nothing to learn from, or no frame to predict.
            FloatingPointError: if the loss is not finite; names the term.
        """
        net_output = model(target_list=sample["target_list"], **sample["net_input"])
        terms: dict[str, Tensor] = {}
        log: dict[str, Any] = {}
        sample_size = 0
        for kind, predictions in (("m", net_output["masked"]), ("u", net_output["unmasked"])):
            if not predictions:
                continue
            sums = self._code_sums(predictions, kind, len(sample["target_list"]))
            log.update(sums)
            if self.code_weights[kind]:
                sample_size += predictions[0].targets.numel()
                for name, value in sums.items():
                    if name.startswith("loss_"):
                        terms[name] = self.code_weights[kind] * value
        masked, padded = net_output["mask_indices"], net_output["padding_mask"]
        if not sample_size:  # spectra alone are learnt: they count masked frames too
            sample_size = int(masked.sum())
        extras = {name: weight for name, weight in self.extra_weights.items() if weight and name in net_output}
        for name, weight in extras.items():
            terms[f"loss_{name}"] = weight * sample_size * net_output[name].float()
        _check_task(terms, sample_size, masked)
        loss = torch.stack(list(terms.values())).sum()
        _check_finite(loss, terms, getattr(model, "num_updates", None))

        log = {name: value.detach() if torch.is_tensor(value) else value for name, value in {**terms, **log}.items()}
        log.update(
            loss=loss.detach(),
            ntokens=sample_size,
            nsentences=sample["id"].numel(),
            sample_size=sample_size,
            masked_frames=masked.sum(),
            frames=(torch.ones_like(masked) if padded is None else ~padded).sum(),
        )
        log.update({f"mean_{name}": net_output[name].detach().float() * sample_size for name in extras})
        return loss, sample_size, log

    def _code_sums(self, predictions: Sequence[CodePrediction], kind: str, codebooks: int) -> dict[str, Any]:
        """Cross entropy in nats, right answers, right answers of the most frequent code, and frames, by codebook.

        All codebooks are there in order, with zeros where a codebook was not drawn.
        """
        nothing = predictions[0].logits.new_zeros(())
        commonest = self.most_frequent or [None] * codebooks
        sums: dict[str, Any] = {}
        for q in range(codebooks):
            sums |= {f"loss_{kind}_{q}": nothing, f"correct_{kind}_{q}": nothing.long(), f"count_{kind}_{q}": 0}
            if commonest[q] is not None:
                sums[f"baseline_{kind}_{q}"] = nothing.long()

        def add(name: str, value: Any) -> None:
            sums[name] = sums[name] + value

        for q, logits, targets in predictions:
            add(f"loss_{kind}_{q}", F.cross_entropy(logits, targets, reduction="sum"))
            add(f"correct_{kind}_{q}", torch.eq(logits.detach().argmax(-1), targets).sum())
            add(f"count_{kind}_{q}", targets.numel())
            if (code := commonest[q]) is not None:
                add(f"baseline_{kind}_{q}", torch.eq(targets, code).sum())
        return sums

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        """Log means over the frames of all processes: losses of codes in bits (fairseq), spectra as they are."""
        names = {name for output in logging_outputs for name in output}
        total = {name: _number(sum(output.get(name, 0) for output in logging_outputs)) for name in names}
        size = total.get("sample_size", 0)
        if not size:
            return
        metrics.log_scalar("loss", total["loss"] / size / math.log(2), size, round=3)
        for name in sorted(names):
            kind, _, rest = name.partition("_")
            if kind == "count" and total[name]:
                _log_codebook(rest, total, total[name])
            elif kind == "mean":
                metrics.log_scalar(rest, total[name] / size, size, round=5)
        if total.get("frames"):
            metrics.log_scalar("masked_share", total["masked_frames"] / total["frames"], total["frames"], round=3)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """Yes: everything logged is a sum."""
        return True


def _log_codebook(rest: str, total: dict[str, float], count: float) -> None:
    """Loss, accuracy, and how far above always guessing the most frequent code; ``rest`` is m_0, ... or u_0, ..."""
    metrics.log_scalar(f"loss_{rest}", total[f"loss_{rest}"] / count / math.log(2), count, round=3)
    accuracy = total[f"correct_{rest}"] / count
    metrics.log_scalar(f"accuracy_{rest}", accuracy, count, round=4)
    if f"baseline_{rest}" in total:
        baseline = total[f"baseline_{rest}"] / count
        metrics.log_scalar(f"baseline_{rest}", baseline, count, round=4)
        metrics.log_scalar(f"over_baseline_{rest}", accuracy - baseline, count, round=4)


def most_frequent_class(dictionary: Dictionary) -> int | None:
    """The class that the dictionary counted most often; None if it counted nothing (all counts alike)."""
    counts = dictionary.count[dictionary.nspecial :]
    if len(set(counts)) < 2:
        return None
    return dictionary.nspecial + max(range(len(counts)), key=counts.__getitem__)


def _check_task(terms: dict[str, Tensor], sample_size: int, masked: Tensor) -> None:
    if not terms:
        raise ValueError(
            "criterion mert has nothing to learn from: every weight is 0 or the model has no such term. "
            "Set pred_masked_weight above 0 and model.skip_masked: false."
        )
    if not sample_size:
        raise ValueError(
            f"criterion mert: found no frame to predict in {masked.size(0)} clips of {masked.size(1)} frames, expected "
            f"some. Set model.mask_prob above 0, or leave out clips of so few frames (task.min_sample_size)."
        )


def _check_finite(loss: Tensor, terms: dict[str, Tensor], num_updates: int | None) -> None:
    if torch.isfinite(loss):
        return
    bad = {name: float(value) for name, value in terms.items() if not torch.isfinite(value)} or {
        "their sum": float(loss)
    }
    raise FloatingPointError(
        f"the loss is not finite at update {num_updates}: {bad}. Expected finite terms. With common.fp16, set "
        f"model.attention_relax: 32 or train in bf16; else lower the learning rate or optimization.clip_norm, and "
        f"check the audio for NaN (mert-check-data)."
    )


def _number(value: Any) -> float:
    return value.item() if torch.is_tensor(value) else value
