"""What a Hugging Face folder holds, in fairseq's terms: our exports, the published MERT-v1, other HuBERT models."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import OmegaConf

from mert_fairseq.extraction import model_folder as files
from mert_fairseq.files import read_json_object
from mert_fairseq.hf.config import frame_rate_hz, hf_config, options_from_hubert
from mert_fairseq.hf.pretraining import Codebook, codebooks_of
from mert_fairseq.hf.remote.configuration_mert import MERTEncoderConfig
from mert_fairseq.models.mert_config import MERTConfig

PUBLISHED = "mert_model"  # model_type of m-a-p's MERT-v1
LAYOUT_OF = {"hubert": "hubert", PUBLISHED: "hubert", MERTEncoderConfig.model_type: "mert"}
WHAT_TO_GIVE = "Give a folder of mert-export-hf, a downloaded m-a-p/MERT-v1-95M or -330M, or another HuBERT."
# What the published recipes train with: masking, and the heads' sizes where a folder has no heads.
RECIPE: dict[str, Any] = {
    "mask_prob": 0.8,
    "mask_length": 5,
    "skip_nomask": True,
    "mixture_prob": 0.5,
    "inbatch_noise_augment_len_range": "[12000, 24000]",
    "untie_final_proj": True,
    "audio_cqt_loss_m": True,
    "audio_cqt_bins": 336,
}
WIDE, FINAL_DIM, WIDE_FINAL_DIM = 1024, 64, 128  # of 95M and 330M


@dataclass(frozen=True)
class NewHeads:
    """Heads for a folder that has none, with random weights.

    Attributes:
        labels: names of the labels to predict.
        codes: of each label.
        seed: of the weights.
    """

    labels: Sequence[str] = tuple(f"encodec_{index}" for index in range(8))
    codes: int = 1024
    seed: int = 1

    @property
    def codebooks(self) -> list[Codebook]:
        """The codes are the numbers from 0, as label files have them."""
        return [([str(code) for code in range(self.codes)], [1] * self.codes) for _ in self.labels]


class Folder(NamedTuple):
    """What a folder holds, in fairseq's terms."""

    layout: str
    model: dict[str, Any]
    task: dict[str, Any]
    codebooks: list[Codebook]  # empty: no heads
    dtype: torch.dtype
    num_updates: int


def read_folder(folder: Path, new_heads: NewHeads) -> Folder:
    """The folder's configuration in fairseq's terms.

    Raises:
        FileNotFoundError, ValueError: as ``import_hf``.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder. {WHAT_TO_GIVE}")
    config = read_json_object(folder / files.CONFIG, WHAT_TO_GIVE)
    model_type = config.get("model_type")
    if model_type not in LAYOUT_OF:
        raise ValueError(
            f"{folder / files.CONFIG}: found a model of type {model_type!r}, expected one of {', '.join(LAYOUT_OF)}. "
            f"{WHAT_TO_GIVE}"
        )
    layout = LAYOUT_OF[model_type]
    if (training := files.read_training(folder)) is not None:
        return _ours(folder, config, layout, training, new_heads)
    if layout == "mert":
        raise ValueError(f"{folder}: found no {files.TRAINING}, without which this layout cannot be imported.")
    return _foreign(folder, config, new_heads)


def _ours(folder: Path, config: dict[str, Any], layout: str, training: dict[str, Any], new_heads: NewHeads) -> Folder:
    cfg: Any = OmegaConf.merge(OmegaConf.structured(MERTConfig), training["model"])
    expected = hf_config(cfg, int(training["task"]["sample_rate"]), layout)
    differing = [
        name for name in expected if name != "torch_dtype" and name in config and config[name] != expected[name]
    ]
    if differing:
        raise ValueError(
            f"{folder}: {files.CONFIG} and {files.TRAINING} disagree on {', '.join(differing)}. Export the model again."
        )
    codebooks = codebooks_of(training)
    if codebooks and not (folder / files.HEADS).is_file():
        raise FileNotFoundError(
            f"{folder / files.HEADS}: no such file, but {files.TRAINING} describes heads. Export the model again."
        )
    dtype = files.DTYPES[training["dtype"]]
    task = training["task"] if codebooks else training["task"] | {"labels": list(new_heads.labels)}
    return Folder(layout, training["model"], task, codebooks, dtype, training.get("num_updates") or 0)


def _foreign(folder: Path, config: dict[str, Any], new_heads: NewHeads) -> Folder:
    where = str(folder / files.CONFIG)
    preprocessor = read_json_object(folder / files.PREPROCESSOR, "It holds the sample rate; fetch the folder again.")
    if not isinstance(rate := preprocessor.get("sampling_rate"), int):
        raise ValueError(f"{folder / files.PREPROCESSOR}: sampling_rate is {rate!r}, expected a number of Hz.")
    options = options_from_hubert(config, where)
    label_rate = frame_rate_hz(options["conv_feature_layers"], rate)
    final_dim = WIDE_FINAL_DIM if options["encoder_embed_dim"] >= WIDE else FINAL_DIM
    model = {
        "_name": "mert",
        "label_rate": label_rate,
        "final_dim": final_dim,
        "attention_relax": float(config.get("attention_relax", -1.0)),
        **RECIPE,
        **options,
    }
    task = {
        "_name": "mert_pretraining",
        "data": "",
        "labels": list(new_heads.labels),
        "label_rate": label_rate,
        "sample_rate": rate,
        "normalize": bool(preprocessor.get("do_normalize", False)),
    }
    return Folder("hubert", model, task, [], torch.float32, 0)
