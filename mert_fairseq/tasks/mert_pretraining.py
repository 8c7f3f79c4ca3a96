"""Task ``mert_pretraining``: opens manifests and frame labels, checks them, and makes the data sets of a training."""

import logging
from itertools import pairwise
from pathlib import Path
from typing import Any

from fairseq.criterions import FairseqCriterion
from fairseq.data import Dictionary
from fairseq.tasks import register_task
from omegaconf import OmegaConf

from mert_fairseq.data.checks import (
    SHORTEST_LABELS,
    check_codes,
    check_labels,
    check_provenance,
    check_sample_rate,
    usable_tracks,
)
from mert_fairseq.data.mert_dataset import ClassTable, MERTDataset
from mert_fairseq.data.sampling import shard_of_epoch
from mert_fairseq.frames import hop_samples
from mert_fairseq.labels import FrameLabels, LabelDictionary, LabelError, MemoryLabels, open_labels
from mert_fairseq.labels.label_folder import expand_family
from mert_fairseq.labels.provenance import Provenance
from mert_fairseq.manifest import Manifest
from mert_fairseq.modules.mask_sampler import MaskSampler
from mert_fairseq.options import number_list
from mert_fairseq.sharding import shard_name
from mert_fairseq.tasks.audio_counter import SAMPLES, AudioCounter, clip_samples
from mert_fairseq.tasks.clip_task import ClipTask, existing_folder
from mert_fairseq.tasks.cqt_picture import draw_cqt_picture
from mert_fairseq.tasks.pretraining_config import (
    MERTPretrainingConfig,
    check_config,
    check_folders_after_chdir,
    check_mixture,
    check_picture,
    label_list,
)

logger = logging.getLogger(__name__)


@register_task("mert_pretraining", dataclass=MERTPretrainingConfig)
class MERTPretrainingTask(ClipTask):
    """Masked prediction of frame labels.

    The task's state in a checkpoint holds the dictionaries as plain lists, and the labels of each family in
    task.labels. Models therefore load without the label folder and without trusting pickled objects.
    """

    cfg: MERTPretrainingConfig

    def __init__(self, cfg: MERTPretrainingConfig) -> None:
        check_config(cfg)
        check_folders_after_chdir(cfg)
        super().__init__(cfg)
        self._label_origins: dict[str, Provenance] = {}  # of the splits opened so far
        self._audio = AudioCounter(cfg.sample_rate)
        self._last_picture = 0  # update
        self._mask_sampler: MaskSampler | None = None  # of the model, if that is built first
        self.state.add_factory("label_families", lambda: self._expanded(label_list(self.cfg.labels)))
        self.state.add_factory("label_symbols", self._read_symbols)

    @classmethod
    def setup_task(cls, cfg: MERTPretrainingConfig, **kwargs: Any) -> "MERTPretrainingTask":
        return cls(cfg)

    @property
    def source_dictionary(self) -> None:
        return None

    @property
    def target_dictionary(self) -> None:
        return None

    @property
    def dictionaries(self) -> list[Dictionary]:
        """fairseq's dictionaries, one per label; a published checkpoint contains its own."""
        if "dictionaries" in self.state.state_dict:
            return self.state.dictionaries
        return [_fairseq_dictionary(symbols, counts) for symbols, counts in self.state.label_symbols]

    @property
    def label_names(self) -> list[str]:
        """Label names, one per codebook. Families are expanded; a checkpoint keeps the expansion of its training."""
        names = label_list(self.cfg.labels)
        families = self.state.label_families
        if missing := [name for name in names if name not in families]:
            families.update(self._expanded(missing))
        return [member for name in names for member in families[name]]

    def _expanded(self, names: list[str]) -> dict[str, list[str]]:
        return {name: expand_family(name, self._label_dir) for name in names}

    def _read_symbols(self) -> list[tuple[list[str], list[int]]]:
        return [(list(each.symbols), list(each.counts)) for each in self._label_dictionaries()]

    def _label_dictionaries(self) -> list[LabelDictionary]:
        return [LabelDictionary.read(self._label_dir / f"dict.{label}.txt") for label in self.label_names]

    @property
    def _label_dir(self) -> Path:
        if self.cfg.label_dir:
            return existing_folder("task.label_dir", self.cfg.label_dir)
        return existing_folder("task.data", self.cfg.data)

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Build the model, whose masks the data sets will sample in their workers.

        When a checkpoint is loaded into it, ignore the option pretrained_weights, and leave masks to the model: code
        that evaluates checkpoints changes the clips' seeds to see several masks.

        Raises:
            ValueError: if an option of the task contradicts the model.
        """
        check_mixture(self.cfg, cfg)
        check_picture(self.cfg, cfg)
        if from_checkpoint and hasattr(cfg, "pretrained_weights"):
            cfg = OmegaConf.merge(cfg, {"pretrained_weights": ""})
        model = super().build_model(cfg, from_checkpoint)
        self._mask_sampler = None if from_checkpoint else getattr(model, "mask_sampler", None)
        return model

    def train_step(self, sample: dict[str, Any], *args: Any, **kwargs: Any) -> tuple[Any, Any, dict[str, Any]]:
        """A training step that also logs the samples of its clips."""
        loss, sample_size, logging_output = super().train_step(sample, *args, **kwargs)
        return loss, sample_size, {**logging_output, SAMPLES: clip_samples(sample)}

    def reduce_metrics(self, logging_outputs: list[dict[str, Any]], criterion: FairseqCriterion) -> None:
        super().reduce_metrics(logging_outputs, criterion)
        self._audio.log(logging_outputs)

    def get_checkpoint_dict(self) -> dict[str, Any]:
        """State that fairseq saves in a checkpoint and restores with ``set_checkpoint_dict``."""
        return {type(self).__name__: {"audio_seconds": self._audio.seconds}}

    def set_checkpoint_dict(self, saved: dict[str, Any]) -> None:
        self._audio.seconds = saved["audio_seconds"]

    def draw_picture(self, model: Any, split: str, update: int, folder: Path) -> Path | None:
        """Draw the CQT of the split's first clip beside its prediction, if task.picture_interval_updates is over.

        Returns:
            the PNG, or None if no picture is due.
        """
        interval = self.cfg.picture_interval_updates
        if not interval or update // interval == self._last_picture // interval:
            return None
        self._last_picture = update
        dataset = self.dataset(split)
        sample = dataset.collater([dataset[0]])
        title = f"CQT of the first clip of {split}, update {update}"
        return draw_cqt_picture(folder / f"cqt_{update:07d}.png", model, sample, self.cfg.sample_rate, title)

    def has_sharded_data(self, split: str) -> bool:
        """Whether fairseq reloads the training split for each epoch. fairseq always asks for it by the name "train"."""
        return self.cfg.sharding_data > 0 and split in ("train", self.cfg.train_subset)

    def load_dataset(self, split: str, epoch: int = 1, **kwargs: Any) -> None:
        """Open a split, or its shard for an epoch, and check it against its labels.

        Raises:
            FileNotFoundError: if a file or folder is missing.
            ValueError: if the data or labels are wrong; the message says where, and the remedy.
        """
        training = split == self.cfg.train_subset
        split_file = split
        if training and self.cfg.sharding_data > 0:
            split_file = self._shard(split, epoch)
            logger.info(f"epoch {epoch} trains on shard {split_file}")
        self.datasets[split] = self._open(split_file, training)
        self.datasets[split].set_epoch(epoch)

    def _shard(self, split: str, epoch: int) -> str:
        """The name of the shard for an epoch. Checks that all shards exist, so that a later epoch does not fail."""
        cfg, folder = self.cfg, existing_folder("task.data", self.cfg.data)
        names = [shard_name(split, shard, cfg.sharding_data) for shard in range(cfg.sharding_data)]
        if missing := [name for name in names if not (folder / f"{name}.tsv").is_file()]:
            raise FileNotFoundError(
                f"{folder}: found no {missing[0]}.tsv, expected {len(names)} shards of {split}; {len(missing)} are "
                f"missing. Make them (preprocess/make_shards.py {cfg.data} {len(names)} --split {split}), or correct "
                f"task.sharding_data."
            )
        return names[shard_of_epoch(cfg.seed, epoch, cfg.sharding_data, cfg.load_random_data_shard)]

    def _open(self, split_file: str, training: bool) -> MERTDataset:
        cfg = self.cfg
        path = existing_folder("task.data", cfg.data) / f"{split_file}.tsv"
        manifest = Manifest.read(path)
        tracks = usable_tracks(
            path, manifest, cfg.min_sample_size, cfg.max_keep_size, hop_samples(cfg.sample_rate, cfg.label_rate)
        )
        check_sample_rate(path, manifest, cfg.sample_rate)
        dictionaries = self._label_dictionaries()
        self._check_dictionaries(dictionaries)
        opened = open_labels(self._label_dir, split_file, self.label_names, padded=cfg.numpy_memmap_label)
        check_labels(path, manifest, opened, cfg.sample_rate, cfg.label_rate, tracks)
        check_provenance(path, manifest, opened, self._label_dir, self._label_origins)
        check_codes(opened, dictionaries, tracks)
        labels: FrameLabels = MemoryLabels(opened) if cfg.store_labels else opened
        return MERTDataset(
            manifest,
            labels,
            ClassTable(dictionaries),
            tracks,
            sample_rate=cfg.sample_rate,
            label_rate_hz=cfg.label_rate,
            crops=crop_schedule(cfg, training),
            training=training,
            seed=cfg.seed,
            pad_audio=cfg.pad_audio or cfg.enable_padding,
            random_crop=cfg.random_crop,
            normalize=cfg.normalize,
            by_seconds=cfg.crops_per_epoch == "by_seconds",
            max_unreadable_share=cfg.max_unreadable_share,
            mask_sampler=self._mask_sampler,
        )

    def _check_dictionaries(self, dictionaries: list[LabelDictionary]) -> None:
        """Compare with the dictionaries that the model was built on, which may come from a checkpoint."""
        if len(dictionaries) != len(self.dictionaries):
            raise LabelError(
                f"task.labels: found {len(dictionaries)} labels ({', '.join(self.label_names)}), expected "
                f"{len(self.dictionaries)}, as many as the checkpoint was trained on. List those labels."
            )
        for dictionary, known in zip(dictionaries, self.dictionaries, strict=True):
            symbols = list(dictionary.symbols)
            if known.symbols[-len(symbols) :] != symbols or len(known) != dictionary.classes:
                raise LabelError(
                    f"{dictionary.path}: found {len(symbols)} codes that are not those of the checkpoint "
                    f"({len(known)} classes). Use the dictionaries that the checkpoint was trained with."
                )


def crop_schedule(cfg: MERTPretrainingConfig, training: bool) -> list[tuple[int, int | None]]:
    """The longest clip in samples from each epoch on. Validation has one length, so that its losses are comparable.

    Raises:
        ValueError: if the lists do not match, epochs do not ascend from 1, or a clip is shorter than a frame.
    """
    seconds = number_list("task.dynamic_crops", cfg.dynamic_crops)
    epochs = number_list("task.dynamic_crops_epoches", cfg.dynamic_crops_epoches)
    ascending = all(a < b and int(b) == b for a, b in pairwise([0, *epochs]))
    if len(seconds) != len(epochs) or not ascending or min([*seconds, 1]) <= 0:
        raise ValueError(
            f"task.dynamic_crops is {cfg.dynamic_crops} and task.dynamic_crops_epoches {cfg.dynamic_crops_epoches}, "
            f"expected as many lengths in seconds as ascending epochs from 1 on, such as '[5, 10]' and '[1, 20]'."
        )
    crops = [(int(epoch), round(length * cfg.sample_rate)) for epoch, length in zip(epochs, seconds, strict=True)]
    first = cfg.max_sample_size
    shortest = SHORTEST_LABELS * hop_samples(cfg.sample_rate, cfg.label_rate)
    if (found := min([shortest if first is None else first, *(length for _, length in crops)])) < shortest:
        raise ValueError(
            f"task.max_sample_size or task.dynamic_crops: found clips of {found} samples, expected at least "
            f"{shortest}: shorter clips have no encoder frame. 120000 is 5 s at 24 kHz; null does not crop."
        )
    if not training:
        return [(0, first if first or not crops else crops[-1][1])]
    return [(0, first), *crops]


def _fairseq_dictionary(symbols: list[str], counts: list[int]) -> Dictionary:
    dictionary = Dictionary()
    for symbol, count in zip(symbols, counts, strict=True):
        dictionary.add_symbol(symbol, n=count)
    return dictionary
