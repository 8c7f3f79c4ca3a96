"""Base classes of tasks: epochs that can resume in the middle, and a limit of unreadable tracks over all ranks."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from fairseq.criterions import FairseqCriterion
from fairseq.data.iterators import EpochBatchIterator
from fairseq.logging import metrics
from fairseq.tasks import FairseqTask

from mert_fairseq.data.clip_dataset import check_unreadable_share
from mert_fairseq.data.epoch_iterator import BatchLimits, ClipBatchIterator

ITERATOR_OPTIONS = (
    "seed",
    "num_shards",
    "shard_id",
    "num_workers",
    "epoch",
    "skip_remainder_batch",
    "grouped_shuffling",
)


class EpochTask(FairseqTask):
    """Makes new batches for each training epoch, so that a run can resume in the middle of one."""

    _training_iterator: ClipBatchIterator | None = None

    def get_batch_iterator(
        self,
        dataset: Any,
        max_tokens: int | None = None,
        max_sentences: int | None = None,
        required_batch_size_multiple: int = 1,
        **options: Any,
    ) -> EpochBatchIterator:
        """The batches of an epoch. In training, first stops the workers of the previous epoch."""
        if dataset.can_reuse_epoch_itr_across_epochs:
            return super().get_batch_iterator(
                dataset,
                max_tokens=max_tokens,
                max_sentences=max_sentences,
                required_batch_size_multiple=required_batch_size_multiple,
                **options,
            )
        if self._training_iterator is not None:
            self._training_iterator.close()
        known = {name: options[name] for name in ITERATOR_OPTIONS if name in options}
        limits = BatchLimits(max_tokens, max_sentences, required_batch_size_multiple)
        buffer_size = options.get("data_buffer_size", 0)
        self._training_iterator = ClipBatchIterator(dataset, limits, buffer_size=buffer_size, **known)
        return self._training_iterator


class ClipTask(EpochTask):
    """A task on data sets of clips; ``cfg`` has train_subset and max_unreadable_share."""

    cfg: Any
    _unreadable = 0

    def max_positions(self) -> tuple[int, int]:
        return sys.maxsize, sys.maxsize

    def filter_indices_by_size(self, indices: np.ndarray, *args: Any, **kwargs: Any) -> np.ndarray:
        """Returns all indices: the data set crops clips, so none is too long."""
        return indices

    def begin_epoch(self, epoch: int, model: Any) -> None:
        super().begin_epoch(epoch, model)
        self._unreadable = 0

    def train_step(self, sample: dict[str, Any], *args: Any, **kwargs: Any) -> tuple[Any, Any, dict[str, Any]]:
        """A training step that also logs the number of clips that replace unreadable tracks."""
        loss, sample_size, logging_output = super().train_step(sample, *args, **kwargs)
        return loss, sample_size, {**logging_output, "unreadable": sample.get("unreadable", 0)}

    def reduce_metrics(self, logging_outputs: list[dict[str, Any]], criterion: FairseqCriterion) -> None:
        """Count unreadable tracks over all ranks, so that all ranks stop together.

        Raises:
            TooManyUnreadableError: if more than task.max_unreadable_share of the epoch's tracks are unreadable.
        """
        super().reduce_metrics(logging_outputs, criterion)
        if unreadable := int(sum(log.get("unreadable", 0) for log in logging_outputs)):
            self._unreadable += unreadable
            metrics.log_scalar_sum("unreadable", unreadable)
            check_unreadable_share(
                self._unreadable, len(self.datasets[self.cfg.train_subset]), self.cfg.max_unreadable_share
            )


def existing_folder(option: str, path: str) -> Path:
    """The absolute path of a folder.

    Raises:
        FileNotFoundError: if the folder does not exist; the message names the option and the absolute path.
    """
    folder = Path(path).absolute()
    if not folder.is_dir():
        raise FileNotFoundError(f"{option}={path}: no such folder ({folder}). Give an absolute path.")
    return folder
