"""Base class of data sets of clips: sampling per epoch, replacement of unreadable tracks, batches by length."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from fairseq.data import FairseqDataset

from mert_fairseq.audio import AudioError, read_span
from mert_fairseq.data.sampling import FIXED_EPOCH, ORDER, REPLACEMENT, bucketed_order, generator, padded_batches
from mert_fairseq.manifest import Manifest

logger = logging.getLogger(__name__)
MAX_ATTEMPTS = 20  # replacements tried for one unreadable clip


class TooManyUnreadableError(RuntimeError):
    """More tracks of an epoch are unreadable than task.max_unreadable_share allows."""


def check_unreadable_share(found: int, tracks: int, max_share: float, example: str = "") -> None:
    """Stop if too many tracks of an epoch are unreadable.

    Raises:
        TooManyUnreadableError: with the count, the limit and the remedy.
    """
    if found > max_share * tracks:
        raise TooManyUnreadableError(
            f"found {found} of {tracks} tracks unreadable in this epoch, expected at most {max_share:.2%} "
            f"(task.max_unreadable_share). {example}The log names each of them: repair or remove them, check with "
            f"mert-check-data, or raise the share."
        )


class UnreadableTracks:
    """The unreadable tracks of an epoch: flags in shared memory, one byte per track, common to all worker processes."""

    def __init__(self, tracks: int, max_share: float) -> None:
        self._flags = torch.zeros(tracks, dtype=torch.uint8).share_memory_()
        self._max_share = max_share

    @property
    def count(self) -> int:
        return int(self._flags.sum())

    def clear(self) -> None:
        self._flags.zero_()

    def add(self, track: int, error: Exception) -> None:
        """Flag a track and log the error; a track counts once per epoch.

        Raises:
            TooManyUnreadableError: if too many tracks are flagged.
        """
        self._flags[track] = 1
        logger.warning(f"unreadable, replaced by another clip: {error}")
        check_unreadable_share(self.count, len(self._flags), self._max_share, f"The last: {error} ")


class ClipDataset(FairseqDataset):
    """Clips of a manifest's tracks. Subclasses define how a clip is read.

    Args:
        manifest: all tracks.
        tracks: (clips,) int64, the tracks to use.
        usable: (clips,) int64, the number of samples of each track that crops may come from.
        sample_rate: of the files, in Hz.
        training: shuffle and sample new crops in each epoch; False returns the same clips every time.
        seed: of order and replacements.
        max_padding: share of a batch that may be padding.
        max_unreadable_share: of the tracks of an epoch.
    """

    sizes: np.ndarray  # (clips,) samples that each clip adds to a batch
    longest_item = "the longest clip. Raise it, or lower task.max_sample_size"  # end of an error message

    def __init__(
        self,
        manifest: Manifest,
        tracks: np.ndarray,
        usable: np.ndarray,
        *,
        sample_rate: int,
        training: bool,
        seed: int,
        max_padding: float,
        max_unreadable_share: float,
    ) -> None:
        self._manifest, self._tracks, self._usable = manifest, tracks, usable
        self._sample_rate = sample_rate
        self._training, self._seed, self._max_padding = training, seed, max_padding
        self._max_unreadable_share = max_unreadable_share
        self._unreadable = UnreadableTracks(len(tracks), max_unreadable_share)
        self.epoch = 1 if training else FIXED_EPOCH

    def _read(self, index: int, length: int, position: float) -> Any:
        """Read a crop of ``length`` samples at a relative position in [0, 1)."""
        raise NotImplementedError

    def _crop_number(self, index: int) -> int:
        """The number of a clip among the crops of its track in this epoch, from 0."""
        return 0

    def _cut(self, index: int, start: int, length: int) -> np.ndarray:
        """Samples of a track, (length,) int16."""
        path = self._manifest.audio_path(int(self._tracks[index]))
        return read_span(path, start, length, sample_rate=self._sample_rate)

    def _read_or_replace(self, index: int, length: int, position: float) -> tuple[int, Any, bool]:
        """Read a crop. If that fails, count and log the error, and read a crop of another track that is long enough.

        Returns:
            The index that was read, the result of ``_read``, and whether it is a replacement. The replacement depends
            on seed, epoch and track only.

        Raises:
            TooManyUnreadableError: if too many tracks of this epoch are unreadable.
        """
        try:
            return index, self._read(index, length, position), False
        except (AudioError, OSError) as error:
            self._unreadable.add(index, error)
        rng = generator(self._seed, self.epoch, REPLACEMENT, int(self._tracks[index]), self._crop_number(index))
        eligible = np.flatnonzero(self._usable >= length)
        for _ in range(MAX_ATTEMPTS):
            other = int(rng.choice(eligible))
            try:
                return other, self._read(other, length, rng.random()), True
            except (AudioError, OSError) as error:
                self._unreadable.add(other, error)
        raise TooManyUnreadableError(
            f"{self._manifest.root}: found {MAX_ATTEMPTS} unreadable tracks in a row, expected a few. Check that the "
            f"folder still exists."
        )

    def __len__(self) -> int:
        return len(self._tracks)

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        """Whether fairseq may keep the batches and workers of an epoch for the next one.

        Not in training: a run would keep the batches of epoch 1, while a resume in epoch e makes those of e. Workers
        kept from the first epoch would also repeat its crops.
        """
        return not self._training

    def set_epoch(self, epoch: int) -> None:
        """Sample new crops and clear the unreadable tracks; validation does not change."""
        if self._training and epoch != self.epoch:
            self._start_epoch(epoch)

    def _start_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        self._unreadable.clear()

    def size(self, index: int) -> int:
        return int(self.sizes[index])

    def num_tokens(self, index: int) -> int:
        return int(self.sizes[index])

    def num_tokens_vec(self, indices: np.ndarray) -> np.ndarray:
        return self.sizes[indices]

    def ordered_indices(self) -> np.ndarray:
        """Longest first; in training shuffled among similar lengths by seed and epoch, without global state."""
        return bucketed_order(self.sizes, generator(self._seed, self.epoch, ORDER) if self._training else None)

    def batch_by_size(
        self,
        indices: np.ndarray,
        max_tokens: int | None = None,
        max_sentences: int | None = None,
        required_batch_size_multiple: int = 1,
    ) -> Sequence[Any]:
        """Cut indices into batches of at most ``max_tokens`` samples and ``max_sentences`` clips.

        Raises:
            ValueError: if one clip alone has more samples.
        """
        longest = int(self.sizes[indices].max(initial=0))
        if max_tokens is not None and longest > max_tokens:
            raise ValueError(
                f"dataset.max_tokens: found {max_tokens} samples per batch, expected at least {longest}, "
                f"{self.longest_item}."
            )
        # fairseq's function loses clips where the multiple (8 by default) is larger than a batch.
        return padded_batches(
            indices, self.sizes, max_tokens, max_sentences, required_batch_size_multiple, self._max_padding
        )
