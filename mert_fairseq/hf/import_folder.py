"""mert-import-hf: a folder of transformers as a checkpoint that fairseq loads, fine-tunes and trains further."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import OmegaConf
from torch import Tensor

from mert_fairseq.checkpointing.warm_start import is_head
from mert_fairseq.files import replacing
from mert_fairseq.hf import folder as files
from mert_fairseq.hf.compare import compare
from mert_fairseq.hf.config import frame_rate_hz, hf_config, options_from_hubert
from mert_fairseq.hf.export import load_hf
from mert_fairseq.hf.names import from_hf
from mert_fairseq.hf.pretraining import Codebook
from mert_fairseq.hf.remote.configuration_mert import MERTEncoderConfig
from mert_fairseq.hf.training_file import DTYPES, codebooks_of, read_training
from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.mert_config import MERTConfig
from mert_fairseq.models.pretrained import Pretrained, build_encoder
from mert_fairseq.tasks.pretraining_config import MERTPretrainingConfig

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


class Imported(NamedTuple):
    """What an import found.

    Attributes:
        checkpoint: the file that was written.
        new_heads: what got a head of random weights: labels, CQT, log-mel; empty if the folder had heads.
        largest_difference: between the folder's model and the checkpoint's, relative to a layer's scale.
    """

    checkpoint: Path
    new_heads: tuple[str, ...]
    largest_difference: float


class Folder(NamedTuple):
    """What a folder holds, in fairseq's terms."""

    layout: str
    model: dict[str, Any]
    task: dict[str, Any]
    codebooks: list[Codebook]  # empty: no heads
    dtype: torch.dtype
    num_updates: int


def import_hf(folder: str | Path, out: str | Path, new_heads: NewHeads) -> Imported:
    """Write a checkpoint, after all layers were compared with those that transformers computes from the folder.

    Args:
        folder: an export of ours, or a model with HubertModel's weights and configuration.
        out: the new .pt file.
        new_heads: what to predict if the folder has no heads.

    Raises:
        FileNotFoundError, FileExistsError: if a file is missing, or ``out`` is there.
        ValueError: if the folder holds another model, is damaged, or its files contradict each other.
    """
    folder, out = Path(folder), Path(out)
    if out.exists():
        raise FileExistsError(f"{out}: exists already. Give the name of a new file.")
    found = read_folder(folder, new_heads)
    cfg: Any = OmegaConf.merge(OmegaConf.structured(MERTConfig), found.model)
    pretrained = Pretrained(found.model, int(found.task["sample_rate"]), bool(found.task.get("normalize", False)))
    encoder = build_encoder(pretrained)
    where = str(folder / files.CONFIG)
    weights = from_hf(files.read_weights(folder), encoder.state_dict(), where)
    _load(encoder, weights, where)
    largest = _compare(encoder.float().eval(), folder, found, pretrained)
    has_heads = bool(found.codebooks)
    codebooks = found.codebooks or new_heads.codebooks
    heads = files.read_safetensors(folder / files.HEADS) if has_heads else {}
    model = _with_heads(cfg, pretrained.sample_rate, codebooks, weights, heads, new_heads.seed, str(folder))
    with replacing(out) as partial:
        torch.save(_checkpoint(found, model, codebooks), partial)
    return Imported(out, () if has_heads else _head_names(model, new_heads), largest)


def read_folder(folder: Path, new_heads: NewHeads) -> Folder:
    """The folder's configuration in fairseq's terms.

    Raises:
        FileNotFoundError, ValueError: as ``import_hf``.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder. {WHAT_TO_GIVE}")
    config = files.read_json(folder / files.CONFIG, WHAT_TO_GIVE)
    model_type = config.get("model_type")
    if model_type not in LAYOUT_OF:
        raise ValueError(
            f"{folder / files.CONFIG}: found a model of type {model_type!r}, expected one of {', '.join(LAYOUT_OF)}. "
            f"{WHAT_TO_GIVE}"
        )
    layout = LAYOUT_OF[model_type]
    if (training := read_training(folder)) is not None:
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
    dtype = DTYPES[training["dtype"]]
    task = training["task"] if codebooks else training["task"] | {"labels": list(new_heads.labels)}
    return Folder(layout, training["model"], task, codebooks, dtype, training.get("num_updates") or 0)


def _foreign(folder: Path, config: dict[str, Any], new_heads: NewHeads) -> Folder:
    where = str(folder / files.CONFIG)
    preprocessor = files.read_json(folder / files.PREPROCESSOR, "It holds the sample rate; fetch the folder again.")
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


def _compare(encoder: MERTModel, folder: Path, found: Folder, pretrained: Pretrained) -> float:
    hf_model = load_hf(folder, found.layout)
    return compare(encoder, hf_model, pretrained.sample_rate, pretrained.normalize, f"{folder} as a checkpoint")


def _load(model: MERTModel, weights: dict[str, Tensor], where: str) -> None:
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{where}: the weights do not fit this configuration. {error}") from error


def _with_heads(
    cfg: MERTConfig,
    sample_rate: int,
    codebooks: Sequence[Codebook],
    weights: dict[str, Tensor],
    heads: dict[str, Tensor],
    seed: int,
    where: str,
) -> MERTModel:
    """The whole model: with ``heads``, or where there are none, with random ones."""
    cfg = OmegaConf.merge(cfg, {"pretrained_weights": ""})  # type: ignore[assignment]
    specials = 4  # of fairseq's dictionaries
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MERTModel(cfg, sample_rate, [len(symbols) + specials for symbols, _ in codebooks])
    new = {name: weight for name, weight in model.state_dict().items() if is_head(name)}
    _load(model, {**weights, **(heads or new)}, where)
    return model


def _head_names(model: MERTModel, new_heads: NewHeads) -> tuple[str, ...]:
    spectra = {"CQT": model.encoder_cqt_model, "log-mel": model.encoder_mel_model}
    return (*new_heads.labels, *(name for name, head in spectra.items() if head is not None))


def _checkpoint(found: Folder, model: MERTModel, codebooks: Sequence[Codebook]) -> dict[str, Any]:
    """As fairseq's trainer saves one, at the start of an epoch and without an optimizer's state."""
    cfg: Any = OmegaConf.merge(OmegaConf.structured(MERTConfig), found.model)
    task: Any = OmegaConf.merge(OmegaConf.structured(MERTPretrainingConfig), found.task)
    return {
        "args": None,
        "cfg": {
            "common": {"seed": 1},
            "dataset": {"train_subset": "train"},
            "task": OmegaConf.to_container(task, enum_to_str=True),
            "model": OmegaConf.to_container(cfg, enum_to_str=True),
        },
        "model": {name: weight.to(found.dtype) for name, weight in model.state_dict().items()},
        "criterion": None,
        "optimizer_history": [
            {
                "criterion_name": "MERTCriterion",
                "optimizer_name": "FairseqAdam",
                "lr_scheduler_state": {},
                "num_updates": found.num_updates,
            }
        ],
        "task_state": {"label_symbols": list(codebooks)},
        "extra_state": {"train_iterator": {"epoch": 1, "version": 2, "iterations_in_epoch": 0}, "val_loss": None},
    }
