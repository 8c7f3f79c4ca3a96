"""A pretrained MERT as the encoder of another model: taken from a checkpoint, or built again from what it was."""

from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from torch import Tensor

from mert_fairseq.checkpointing.safe_loading import read_checkpoint
from mert_fairseq.checkpointing.warm_start import is_head
from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.mert_config import MERTConfig

# Options that matter to the pretraining alone. Layers are not dropped: a mixture of layers needs them all.
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
    """What a checkpoint says of its encoder.

    Attributes:
        options: of the model ``mert``, plain values.
        sample_rate: of its audio, in Hz.
        normalize: whether each clip had zero mean and unit variance.
    """

    options: dict[str, Any]
    sample_rate: int
    normalize: bool


def read_pretrained(path: str | Path) -> tuple[Pretrained, dict[str, Tensor]]:
    """The encoder of a checkpoint: what it is, and its weights, read without trusting pickle.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no checkpoint, or one of another model than ``mert``.
    """
    return encoder_of(read_checkpoint(path), path)


def encoder_of(state: dict[str, Any], path: str | Path) -> tuple[Pretrained, dict[str, Tensor]]:
    """As ``read_pretrained``, from a checkpoint that has been read; ``path`` is for messages."""
    cfg = state.get("cfg") or {}
    model, task = cfg.get("model") or {}, cfg.get("task") or {}
    name = model.get("_name")
    if name != "mert":
        raise ValueError(
            f"{path}: is a checkpoint of the model {name!r}, expected 'mert'. Give one that config/pretrain trained."
        )
    weights = {name: value for name, value in state["model"].items() if not is_head(name)}
    return Pretrained(dict(model), int(task["sample_rate"]), bool(task.get("normalize", False))), weights


def build_encoder(pretrained: Pretrained) -> MERTModel:
    """The encoder without the heads of the pretraining, with random weights."""
    cfg: Any = OmegaConf.merge(OmegaConf.structured(MERTConfig), pretrained.options, ENCODER_ONLY)
    encoder = MERTModel(cfg, pretrained.sample_rate, num_classes=[1])
    encoder.remove_pretraining_modules()
    encoder.mask_emb.requires_grad_(False)  # nothing is masked
    return encoder


def load_encoder(encoder: MERTModel, weights: dict[str, Tensor], path: str | Path) -> None:
    """Load a checkpoint's weights; all must be there, and none be left.

    Raises:
        ValueError: naming the first that does not fit.
    """
    encoder.upgrade_state_dict_named(weights, "")
    try:
        encoder.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path}: its weights do not fit its own options. {error}") from error
