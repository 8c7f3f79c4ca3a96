"""A pretrained MERT as the encoder of another model: read from a checkpoint, or rebuilt from its options."""

from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from torch import Tensor

from mert_fairseq.checkpointing.safe_loading import read_checkpoint
from mert_fairseq.checkpointing.warm_start import is_head
from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.mert_config import MERTConfig

# Turn off what only pretraining needs. No layer drop: a weighted sum of layers needs the output of every layer.
ENCODER_ONLY = {
    "audio_cqt_loss_m": False,
    "audio_mel_loss_m": False,
    "target_glu": False,
    "learnable_temp": False,
    "pretrained_weights": "",
    "compile": "off",
    "encoder_layerdrop": 0.0,
}


class Pretrained(NamedTuple):
    """The configuration of a checkpoint's encoder.

    Attributes:
        options: of the model ``mert``, as plain values.
        sample_rate: of the training audio, in Hz.
        normalize: whether each clip was scaled to zero mean and unit variance.
    """

    options: dict[str, Any]
    sample_rate: int
    normalize: bool


def read_pretrained(path: str | Path) -> tuple[Pretrained, dict[str, Tensor]]:
    """Read the configuration and the weights of a checkpoint's encoder, without running code from its pickle.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is not a checkpoint, or belongs to another model than ``mert``.
    """
    return parse_pretrained(read_checkpoint(path), path)


def parse_pretrained(state: dict[str, Any], path: str | Path) -> tuple[Pretrained, dict[str, Tensor]]:
    """As ``read_pretrained``, from the content of a checkpoint; ``path`` is for messages."""
    cfg = state.get("cfg") or {}
    model, task = cfg.get("model") or {}, cfg.get("task") or {}
    name = model.get("_name")
    if name != "mert":
        raise ValueError(
            f"{path}: is a checkpoint of the model {name!r}, expected 'mert'. Use one from a recipe in config/pretrain."
        )
    weights = {name: value for name, value in state["model"].items() if not is_head(name)}
    return Pretrained(dict(model), int(task["sample_rate"]), bool(task.get("normalize", False))), weights


def build_encoder(pretrained: Pretrained) -> MERTModel:
    """Build the encoder without the pretraining heads, with random weights."""
    cfg: Any = OmegaConf.merge(OmegaConf.structured(MERTConfig), pretrained.options, ENCODER_ONLY)
    encoder = MERTModel(cfg, pretrained.sample_rate, num_classes=[1])
    encoder.remove_pretraining_modules()
    encoder.mask_emb.requires_grad_(False)  # unused: no frame is masked
    return encoder


def load_encoder(encoder: MERTModel, weights: dict[str, Tensor], path: str | Path) -> None:
    """Load a checkpoint's weights; missing and unknown weights are errors.

    Raises:
        ValueError: if a weight is missing, unknown or has another shape; names them.
    """
    encoder.upgrade_state_dict_named(weights, "")
    try:
        encoder.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path}: the weights do not fit the checkpoint's own options. {error}") from error
