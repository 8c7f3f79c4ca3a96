"""The loss of MERT: codes, spectra and the feature penalty, with one named weight per term."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.data.dictionary import Dictionary
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor, nn

from mert_fairseq.modules import batch
from mert_fairseq.modules.heads import CodePredictions
from mert_fairseq.options import option


@dataclass
class MERTCriterionConfig(FairseqDataclass):
    """Weights of the loss terms. Each applies to the term of its name, no matter which other terms exist."""

    pred_masked_weight: float = option(1.0, "weight of the codes' cross entropy on masked frames")
    pred_nomask_weight: float = option(0.0, "weight of the codes' cross entropy on unmasked frames; 0 as in the paper")
    features_pen_weight: float = option(
        10.0, "weight of the mean square of the conv features; 10 as in HuBERT and the paper"
    )
    cqt_weight: float = option(1.0, "weight of the CQT's mean squared error; 1 beat 2 and 5 in the paper")
    mel_weight: float = option(
        1.0, "weight of the log-mel spectrum's mean squared error; used only with audio_mel_loss_m"
    )


@register_criterion("mert", dataclass=MERTCriterionConfig)
class MERTCriterion(FairseqCriterion):
    """Cross entropy summed over masked frames and codebooks, plus sample_size times the other weighted terms.

    ``sample_size`` is the number of masked frames. fairseq divides by its sum, which results in means over all ranks.
    Nothing here waits for the device, and no shape depends on values: logged values stay on the device, in one float64
    vector, until fairseq prints them. A loss that is not finite is returned unchanged; the trainer detects it in the
    gradient norm: fp16 skips the update, bf16 and float32 end the run (``distributed/gradient_norm.py``).
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
        self.most_frequent = [most_frequent_class(each) for each in getattr(task, "dictionaries", None) or []]
        classes = [-1 if code is None else code for code in self.most_frequent]
        self.register_buffer("most_frequent_Q", torch.tensor(classes, dtype=torch.long), persistent=False)

    def forward(
        self, model: nn.Module, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """Compute the loss of a batch, the number of frames it sums over, and the values to log.

        fairseq adds logs over ranks and micro-batches by position, separately for tensors and numbers. So every batch
        logs the same names, in the same order, each with the same type.

        Raises:
            ValueError: if there is no loss term, or no frame to predict.
        """
        net_output = model(target_list=sample["target_list"], **sample["net_input"])
        codebooks = len(sample["target_list"])
        terms: list[Tensor] = []
        counts: dict[str, int] = {}
        sums: dict[str, Tensor] = {}
        sample_size = 0
        for kind, predictions in (("m", net_output["masked"]), ("u", net_output["unmasked"])):
            if not predictions:
                continue
            kind_counts, kind_sums = self._code_sums(predictions, codebooks)
            counts |= {f"count_{kind}_{q}": count for q, count in enumerate(kind_counts)}
            sums |= {f"{name}_{kind}": value for name, value in kind_sums.items()}
            if self.code_weights[kind]:
                sample_size += predictions[0].targets.numel()
                terms.append(self.code_weights[kind] * kind_sums["loss"].sum())
        if not sample_size:  # no code losses: the spectra also count masked frames
            sample_size = net_output["masked_frames"]
        extras = {name: weight for name, weight in self.extra_weights.items() if weight and name in net_output}
        means = {name: net_output[name].float() * sample_size for name in extras}
        weighted = {name: weight * means[name] for name, weight in extras.items()}
        terms += weighted.values()
        _check_terms(terms, sample_size, net_output["mask_indices"])
        loss = torch.stack(terms).sum()
        scalars = {"loss": loss, "frames": _frames(net_output)}
        scalars |= {f"loss_{name}": value for name, value in weighted.items()}
        scalars |= {f"mean_{name}": value for name, value in means.items()}
        log = {"ntokens": sample_size, "nsentences": sample["id"].numel(), "sample_size": sample_size, **counts}
        log["masked_frames"] = net_output["masked_frames"]
        return loss, sample_size, {**log, **self._one_vector(scalars, sums)}

    def _code_sums(self, predictions: CodePredictions, codebooks: int) -> tuple[list[int], dict[str, Tensor]]:
        """Number of frames per codebook, and (Q,) sums over them; zero for codebooks that were not sampled.

        The sums are ``loss``, the cross entropy in nats; ``correct``, the number of correct predictions; and, if a
        dictionary has counts, ``baseline``, the number of frames with the most frequent code.
        """
        sampled, targets_PS = predictions.codebooks, predictions.targets
        in_order = sampled == list(range(codebooks))
        index = None if in_order else batch.to_device(np.array(sampled), targets_PS.device)
        parts_PS = targets_PS.split([len(logits) for logits in predictions.stacks])
        found = [_losses_and_hits(*part) for part in zip(predictions.stacks, parts_PS, strict=True)]
        losses, hits = (parts[0] if len(parts) == 1 else torch.cat(parts) for parts in zip(*found, strict=True))
        sums = {"loss": losses, "correct": hits}
        if any(code is not None for code in self.most_frequent):
            frequent_Q = self.most_frequent_Q.to(targets_PS.device)
            frequent_P = frequent_Q if index is None else frequent_Q[index]
            sums["baseline"] = (targets_PS == frequent_P.unsqueeze(1)).sum(1)
        if index is not None:
            sums = {name: sum_P.new_zeros(codebooks).index_add(0, index, sum_P) for name, sum_P in sums.items()}
        return [targets_PS.size(1) * sampled.count(codebook) for codebook in range(codebooks)], sums

    def _one_vector(self, scalars: dict[str, Tensor], sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """Entries of one float64 vector by name: the scalars, then each sum per codebook."""
        names = list(scalars)
        for name, sum_Q in sums.items():
            names += [f"{name}_{q}" for q in range(len(sum_Q))]
        vector = torch.cat([torch.stack([value.detach().double() for value in scalars.values()]), *sums.values()])
        entries = dict(zip(names, vector.detach().unbind(), strict=True))
        for q, code in enumerate(self.most_frequent):
            if code is None:  # no baseline for this codebook
                for kind in ("m", "u"):
                    entries.pop(f"baseline_{kind}_{q}", None)
        return entries

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        """Log means over the frames of all ranks: code losses in bits (as fairseq does), spectrum losses unchanged."""
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
        """Yes: all logged values are sums."""
        return True


def _log_codebook(rest: str, total: dict[str, float], count: float) -> None:
    """Log loss, accuracy, and the accuracy above the most-frequent-code baseline; ``rest`` is m_0, ... or u_0, ..."""
    metrics.log_scalar(f"loss_{rest}", total[f"loss_{rest}"] / count / math.log(2), count, round=3)
    accuracy = total[f"correct_{rest}"] / count
    metrics.log_scalar(f"accuracy_{rest}", accuracy, count, round=4)
    if f"baseline_{rest}" in total:
        baseline = total[f"baseline_{rest}"] / count
        metrics.log_scalar(f"baseline_{rest}", baseline, count, round=4)
        metrics.log_scalar(f"over_baseline_{rest}", accuracy - baseline, count, round=4)


def _losses_and_hits(logits_PSV: Tensor, targets_PS: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over frames, each (P,): the cross entropy in nats, and the frames whose target has the largest logit.

    As in HuBERT, a frame whose logits are all equal is not correct. Comparing with the largest and smallest value takes
    a fifth of the time of ``argmax`` on a CPU.
    """
    log_probs_PSV = F.log_softmax(logits_PSV, -1)
    losses = F.nll_loss(log_probs_PSV.flatten(0, 1), targets_PS.flatten(), reduction="none")
    losses_PS = losses.view_as(targets_PS)
    with torch.no_grad():
        largest_PS, smallest_PS = log_probs_PSV.amax(-1), log_probs_PSV.amin(-1)
        correct_PS = (-losses_PS >= largest_PS) & (largest_PS > smallest_PS)
    return losses_PS.sum(1), correct_PS.sum(1)


def _frames(net_output: dict[str, Any]) -> Tensor:
    """Number of frames without padding, on the device."""
    masked, padded = net_output["mask_indices"], net_output["padding_mask"]
    return (torch.ones_like(masked) if padded is None else ~padded).sum()


def most_frequent_class(dictionary: Dictionary) -> int | None:
    """The class with the highest count in the dictionary; None if all counts are equal (the dictionary has none)."""
    counts = dictionary.count[dictionary.nspecial :]
    if len(set(counts)) < 2:
        return None
    return dictionary.nspecial + max(range(len(counts)), key=counts.__getitem__)


def _check_terms(terms: list[Tensor], sample_size: int, masked: Tensor) -> None:
    if not terms:
        raise ValueError(
            "criterion mert: found no loss term, expected at least one: every weight is 0 or its term is missing. "
            "Set pred_masked_weight above 0 and model.skip_masked: false."
        )
    if not sample_size:
        raise ValueError(
            f"criterion mert: found no frame to predict in {masked.size(0)} clips of {masked.size(1)} frames, expected "
            f"at least one. Set model.mask_prob above 0, or exclude clips this short (task.min_sample_size)."
        )


def _number(value: Any) -> float:
    return value.item() if torch.is_tensor(value) else value
