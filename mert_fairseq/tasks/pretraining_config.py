"""Options of the task ``mert_pretraining``, with the published names and defaults."""

# fairseq turns the fields into command-line arguments and understands only List and Optional of typing.
# ruff: noqa: UP045

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from fairseq.dataclass import FairseqDataclass
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_original_cwd
from omegaconf import II, MISSING

from mert_fairseq.options import option, require_defaults


@dataclass
class MERTPretrainingConfig(FairseqDataclass):
    data: str = option(MISSING, "folder of the manifests {split}.tsv")
    labels: Any = field(  # a list, or text: an argument of fairseq-train, or a single family
        default_factory=lambda: ["ltr"],
        metadata={
            "help": "label names, one per codebook: files {split}.{label}, or packed, and dict.{label}.txt; a family "
            "such as rvq means rvq_0, rvq_1, ..., all that the label folder contains"
        },
    )
    label_dir: Optional[str] = option(None, "folder of labels and dictionaries; task.data if not set")
    label_rate: float = option(-1.0, "labels per second, in Hz; 75 for EnCodec at 24 kHz")
    sample_rate: int = option(16_000, "sample rate of the audio files, in Hz; training does not resample")
    normalize: bool = option(False, "scale each clip to zero mean and unit variance")
    pad_audio: bool = option(False, "pad a batch to its longest clip; otherwise cut all clips to the shortest")
    enable_padding: bool = option(False, "same as pad_audio")
    max_keep_size: Optional[int] = option(None, "skip tracks longer than this, in samples")
    max_sample_size: Optional[int] = option(None, "crop longer tracks to this, in samples; 120000 is 5 s at 24 kHz")
    min_sample_size: Optional[int] = option(None, "skip tracks shorter than this, in samples")
    random_crop: bool = option(True, "start crops at a random label boundary; otherwise at the beginning of the track")
    dynamic_crops: str = option("[]", "crop lengths in seconds, such as '[5, 10]', instead of max_sample_size")
    dynamic_crops_epoches: str = option("[]", "first epoch of each length in dynamic_crops, such as '[1, 20]'")
    crops_per_epoch: str = option(
        "by_track",
        "by_track: one crop per track, whatever its length, as published; by_seconds: as many crops as fit into the "
        "track, so that an epoch covers albums and hour-long mixes completely",
    )
    sharding_data: int = option(-1, "n: an epoch trains on one shard {split}_{i}_{n}.tsv and its labels; -1: no shards")
    load_random_data_shard: bool = option(True, "choose the shard of each epoch at random; otherwise in order")
    store_labels: bool = option(False, "keep all labels in memory, 2 bytes per code; for slow disks")
    numpy_memmap_label: bool = option(False, "read {split}.{label}.npy, one row per track, padded with -1")
    max_unreadable_share: float = option(
        0.01,
        "stop when more than this share of an epoch's tracks is unreadable (they are replaced by others); any large "
        "corpus has a few bad files, but 1 percent means that a disk or a conversion failed",
    )
    picture_interval_updates: int = option(
        0,
        "every n updates, after the next validation, draw the CQT of a held-out clip beside its prediction: a PNG in "
        "checkpoint.save_dir/pictures, and an image in TensorBoard or Weights & Biases; 0: never",
    )
    seed: int = II("common.seed")
    train_subset: str = II("dataset.train_subset")
    # Only the defaults of these are accepted.
    fine_tuning: bool = option(False, "not supported: use the task genre_audio for fine-tuning")
    single_target: bool = option(False, "not supported: use the task genre_audio for fine-tuning")
    augmentation_effects: str = option("[]", "not supported: had no effect in the published code")
    augmentation_probs: str = option("[]", "not supported: had no effect in the published code")
    inbatch_noise_augment_len_range: str = option("[8000, 24000]", "set model.inbatch_noise_augment_len_range instead")
    inbatch_noise_augment_number_range: str = option("[1, 3]", "set model.inbatch_noise_augment_number_range instead")
    inbatch_noise_augment_volume: float = option(1.0, "set model.inbatch_noise_augment_volume instead")
    cqt_loss_bin_dataloader: int = option(-1, "not supported: the model computes the CQT; set model.audio_cqt_bins")


CROPS_PER_EPOCH = ("by_track", "by_seconds")
REMEDIES = {
    "fine_tuning": "Fine-tune with the task genre_audio (config/genre/mert_finetune.yaml).",
    "single_target": "Fine-tune with the task genre_audio (config/genre/mert_finetune.yaml).",
    "augmentation_effects": "The published code never applied it; remove the option.",
    "augmentation_probs": "The published code never applied it; remove the option.",
    "cqt_loss_bin_dataloader": "The model computes the CQT: set model.audio_cqt_loss_m and model.audio_cqt_bins.",
}


MIXTURE = ("inbatch_noise_augment_len_range", "inbatch_noise_augment_number_range", "inbatch_noise_augment_volume")


def check_folders_after_chdir(cfg: MERTPretrainingConfig) -> None:
    """Refuse relative folders that no longer exist because Hydra changed the working directory.

    Raises:
        FileNotFoundError: the message names the option and the intended folder.
    """
    if not HydraConfig.initialized():
        return
    for name in ("data", "label_dir"):
        path, original_dir = getattr(cfg, name), Path(get_original_cwd())
        if path and not Path(path).is_dir() and (original_dir / path).is_dir():
            raise FileNotFoundError(
                f"task.{name}={path}: no such folder in {Path.cwd()}, the working directory that Hydra set; the "
                f"command started in {original_dir}. "
                f"Give {original_dir / path}, or set hydra.job.chdir=false."
            )


def check_config(cfg: MERTPretrainingConfig) -> None:
    """Refuse unsupported options and values.

    Raises:
        ValueError: the message names the option, the value and the remedy.
    """
    defaults = MERTPretrainingConfig()
    require_defaults(
        [(f"task.{name}", getattr(cfg, name), getattr(defaults, name), remedy) for name, remedy in REMEDIES.items()]
    )
    if cfg.label_rate <= 0:
        raise ValueError(
            f"task.label_rate: found {cfg.label_rate:g} Hz, expected the number of labels per second, such as 75. "
            f"For labels of whole tracks use the task genre_audio."
        )
    if cfg.crops_per_epoch not in CROPS_PER_EPOCH:
        raise ValueError(
            f"task.crops_per_epoch: found {cfg.crops_per_epoch!r}, expected {' or '.join(CROPS_PER_EPOCH)}."
        )
    if cfg.crops_per_epoch == "by_seconds" and cfg.max_sample_size is None and cfg.dynamic_crops == "[]":
        raise ValueError(
            "task.crops_per_epoch: by_seconds needs the length of a crop. Set task.max_sample_size, such as 120000 "
            "(5 s at 24 kHz), or use by_track."
        )
    if not 0 <= cfg.max_unreadable_share <= 1:
        raise ValueError(f"task.max_unreadable_share: found {cfg.max_unreadable_share}, expected a share from 0 to 1.")
    if cfg.picture_interval_updates < 0:
        raise ValueError(
            f"task.picture_interval_updates: found {cfg.picture_interval_updates}, expected a number of updates, or 0 "
            f"for no pictures."
        )
    labels = label_list(cfg.labels)
    if not labels or len(set(labels)) < len(labels):
        raise ValueError(
            f"task.labels: found {labels}, expected at least one name and no name twice, such as [encodec_0, "
            f"encodec_1], or encodec for all of them."
        )


def label_list(labels: Any) -> list[str]:
    """Label names and families from a list, from text such as ``['rvq_0', 'rvq_1']``, or from one name.

    Raises:
        ValueError: if it is anything else.
    """
    try:
        names = ast.literal_eval(labels) if isinstance(labels, str) and labels.startswith("[") else labels
    except (SyntaxError, ValueError):
        names = None
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, Sequence) or not all(isinstance(name, str) and name for name in names):
        raise ValueError(
            f"task.labels: found {labels!r}, expected a list of names such as [encodec_0, encodec_1], or a family such "
            f"as encodec."
        )
    return list(names)


def check_mixture(cfg: MERTPretrainingConfig, model: Any) -> None:
    """Refuse mixture options of the task that differ from the model's: the model mixes.

    fairseq-train has one flag for both and writes its value into both.

    Args:
        cfg: the task's options.
        model: the model's options.

    Raises:
        ValueError: the message names the option, the value and the remedy.
    """
    defaults = MERTPretrainingConfig()
    for name in MIXTURE:
        found = getattr(cfg, name)
        if found not in (getattr(defaults, name), getattr(model, name, None)):
            raise ValueError(f"task.{name} is {found!r}, but the model does the mixing. Set model.{name} instead.")


def check_picture(cfg: MERTPretrainingConfig, model: Any) -> None:
    """Refuse pictures of a CQT that the model does not predict.

    Raises:
        ValueError: the message names the options and the remedy.
    """
    if cfg.picture_interval_updates and not getattr(model, "audio_cqt_loss_m", False):
        raise ValueError(
            f"task.picture_interval_updates is {cfg.picture_interval_updates}, but the model predicts no CQT. Set "
            f"model.audio_cqt_loss_m=true, or task.picture_interval_updates=0."
        )
