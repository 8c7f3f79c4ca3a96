"""Option ``model.pretrained_weights``: start from the conv stack and Transformer of another model, with new heads."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mert_fairseq.checkpointing.safe_loading import read_checkpoint

logger = logging.getLogger(__name__)
Weights = dict[str, Tensor]
CODE_HEADS = ("final_proj.", "final_projs.", "label_embs_concat", "target_glu.", "logit_temp_list")
HEADS = (*CODE_HEADS, "encoder_cqt_model.", "encoder_mel_model.")
CONV_STACK, TRANSFORMER, FIRST_LAYER = "feature_extractor.", "encoder.", "encoder.layers.0."
SHOWN = 12  # names in a log line


def is_head(name: str) -> bool:
    """Whether a parameter belongs to a head, which only the pretraining loss uses."""
    return name.startswith(HEADS)


def start_from(model: nn.Module, path: str | Path, labels: Sequence[str] = ()) -> None:
    """Load all weights of a checkpoint that fit, and log which were loaded and which were not.

    Args:
        model: the model ``mert``; weights without a match keep their initial values.
        path: of a checkpoint of ``mert`` or of another wav2vec-like model with the same parameter names.
        labels: that the model learns. Heads of a checkpoint with other labels are not loaded.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a checkpoint, its conv stack differs, or no layer of its Transformer fits.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"model.pretrained_weights: {path}: no such checkpoint. Give the .pt file to start from. To resume a "
            f"training that started from it, leave model.pretrained_weights empty."
        )
    state = read_checkpoint(path)
    found: Weights = dict(state["model"])
    model.upgrade_state_dict_named(found, "")  # type: ignore[operator]  # fairseq's
    other: tuple[str, ...] = ()
    if labels and (old_labels := _labels_of(state)) and old_labels != list(labels):
        other = CODE_HEADS
        logger.info(
            f"model.pretrained_weights {path}: was trained on the labels {old_labels}: the heads of the codes are new"
        )
    expected = model.state_dict()
    fitting = {
        name: value for name, value in found.items() if _fits(value, expected.get(name)) and not name.startswith(other)
    }
    _check(path, found, expected, fitting)
    model.load_state_dict(fitting, strict=False)
    _report(path, found, expected, fitting)


def _labels_of(state: dict[str, Any]) -> list[str]:
    task = (state.get("cfg") or {}).get("task") or {}
    return list(task.get("labels") or [])


def _fits(found: Tensor, expected: Tensor | None) -> bool:
    return expected is not None and torch.is_tensor(found) and found.shape == expected.shape


def _check(path: str | Path, found: Weights, expected: Weights, fitting: Weights) -> None:
    conv_stack = {name for name in found.keys() | expected.keys() if name.startswith(CONV_STACK)}
    if missing := sorted(conv_stack - fitting.keys()):
        raise ValueError(
            f"model.pretrained_weights {path}: its conv stack does not fit this model's: "
            f"{_difference(missing[0], found, expected)}. Set model.front_end, conv_feature_layers, extractor_mode "
            f"and conv_bias as it was trained with."
        )
    if missing := sorted(name for name in expected.keys() - fitting.keys() if name.startswith(FIRST_LAYER)):
        raise ValueError(
            f"model.pretrained_weights {path}: no layer of its Transformer fits this model's: "
            f"{_difference(missing[0], found, expected)}. Set model.encoder_embed_dim and encoder_ffn_embed_dim "
            f"as it was trained with."
        )


def _report(path: str | Path, found: Weights, expected: Weights, fitting: Weights) -> None:
    """Log what starts from the checkpoint, what starts at random, and which weights of the checkpoint are not used."""
    counts = {
        part: f"{sum(map(belongs, fitting))} of {sum(map(belongs, expected))}"
        for part, belongs in (
            ("conv stack", lambda name: name.startswith(CONV_STACK)),
            ("Transformer", lambda name: name.startswith(TRANSFORMER)),
            ("heads", is_head),
        )
    }
    loaded = ", ".join(f"{part} {count}" for part, count in counts.items())
    logger.info(f"model.pretrained_weights {path}: loaded {len(fitting)} of {len(expected)} tensors: {loaded}")
    if new := sorted(expected.keys() - fitting.keys()):
        logger.info(f"initialised at random: {_shown([_difference(name, found, expected) for name in new])}")
    if unused := sorted(found.keys() - expected.keys()):
        logger.info(f"not used: {_shown(unused)}")


def _difference(name: str, found: Weights, expected: Weights) -> str:
    if name in found and _fits(found[name], expected.get(name)):
        return f"{name} (of other labels)"
    shapes = [tuple(tensors[name].shape) if name in tensors else "none" for tensors in (found, expected)]
    return f"{name} (found {shapes[0]}, expected {shapes[1]})"


def _shown(names: list[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest
