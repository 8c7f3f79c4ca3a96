"""What data sets of clips have in common: epochs that draw anew, stand-ins for unreadable tracks, batches by length."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from fairseq.data import FairseqDataset

from mert_fairseq.audio import AudioError, read_span
from mert_fairseq.data.batches import bucketed_order, padded_batches
from mert_fairseq.data.sampling import FIXED_EPOCH, ORDER, REPLACEMENT, generator
from mert_fairseq.data.unreadable import TooManyUnreadableError, UnreadableTracks
from mert_fairseq.manifest import Manifest

MAX_ATTEMPTS = 20  # clips tried in the place of one that cannot be read


class ClipDataset(FairseqDataset):
    """Clips of a manifest's tracks; how one is read is for the subclass to say.

    Args:
        manifest: all tracks.
        tracks: (clips,) int64, the tracks to use.
        usable: (clips,) int64, how many samples of each there are to cut from.
        sample_rate: of the files, in Hz.
        training: shuffle and draw anew each epoch; False gives the same clips every time.
        seed: of order and replacements.
        max_padding: share of a batch that may be padding.
        max_unreadable_share: of the tracks of an epoch.
    """

    sizes: np.ndarray  # (clips,) samples that each costs a batch
    longest_is = "the longest clip. Raise it, or lower task.max_sample_size"

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

    def _read(self, index: int, length: int, place: float) -> Any:
        """Read a crop of ``length`` samples at a place in [0, 1)."""
        raise NotImplementedError

    def _crop_number(self, index: int) -> int:
        """Which of its track's crops in this epoch a clip is, from 0."""
        return 0

    def _cut(self, index: int, start: int, length: int) -> np.ndarray:
        """Samples of a track, (length,) int16."""
        path = self._manifest.audio_path(int(self._tracks[index]))
        return read_span(path, start, length, sample_rate=self._sample_rate)

    def _read_or_replace(self, index: int, length: int, place: float) -> tuple[int, Any, bool]:
        """Read a crop, or count and log why not, and read one of another track that is long enough.

        Returns:
            The index that was read, what ``_read`` gave, and whether it is a replacement: the same one for the same
            seed, epoch and track.

        Raises:
            TooManyUnreadableError: if too many tracks of this epoch failed.
        """
        try:
            return index, self._read(index, length, place), False
        except (AudioError, OSError) as error:
            self._unreadable.add(index, error)
        draws = generator(self._seed, self.epoch, REPLACEMENT, int(self._tracks[index]), self._crop_number(index))
        eligible = np.flatnonzero(self._usable >= length)
        for _ in range(MAX_ATTEMPTS):
            other = int(draws.choice(eligible))
            try:
                return other, self._read(other, length, draws.random()), True
            except (AudioError, OSError) as error:
                self._unreadable.add(other, error)
        raise TooManyUnreadableError(
            f"{self._manifest.root}: found {MAX_ATTEMPTS} unreadable tracks in a row, expected a few. Is the folder "
            f"still there?"
        )

    def __len__(self) -> int:
        return len(self._tracks)

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        """Whether fairseq may keep batches and workers of an epoch for the next.

        In training it may not: it would keep the batches of epoch 1, but make those of epoch e after a resume in e, and
        its long-lived workers would go on drawing the first epoch's crops.
        """
        return not self._training

    def set_epoch(self, epoch: int) -> None:
        """Draw anew, and forget which tracks failed; validation stays as it is."""
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
        """Longest first; in training shuffled among similar lengths, by seed and epoch and no global state."""
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
                f"dataset.max_tokens: found {max_tokens} samples a batch, expected at least {longest}, "
                f"{self.longest_is}."
            )
        # Not fairseq's: it loses clips where the multiple (8 by default) is larger than a batch.
        return padded_batches(
            indices, self.sizes, max_tokens, max_sentences, required_batch_size_multiple, self._max_padding
        )
