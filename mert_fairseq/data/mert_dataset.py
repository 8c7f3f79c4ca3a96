"""Clips of music and the classes of their frames, for masked prediction.

A clip is read where it is needed and nowhere else: the worker seeks to a crop that (seed, epoch, track) determines, and
sends 16-bit samples. Batches, crops, masks and mixtures are therefore those of any other run with the same seed,
however many workers and ranks it has and wherever it was resumed.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from fairseq.data import FairseqDataset

from mert_fairseq.audio import AudioError, read_span
from mert_fairseq.data.batches import MAX_PADDING, bucketed_order, padded_batches
from mert_fairseq.data.classes import ClassTable
from mert_fairseq.data.collate import Clip, Collater
from mert_fairseq.data.draws import FIXED_EPOCH, ORDER, REPLACEMENT, clip_draw, crop_start, generator
from mert_fairseq.data.unreadable import TooManyUnreadableError, UnreadableTracks
from mert_fairseq.frames import hop_samples, label_span
from mert_fairseq.labels import FrameLabels
from mert_fairseq.manifest import Manifest

MAX_ATTEMPTS = 20  # clips tried in the place of one that cannot be read


class MERTDataset(FairseqDataset):
    """One split, or one shard of it.

    Args:
        manifest: all tracks.
        labels: of all tracks.
        class_table: of the labels' dictionaries.
        tracks: (clips,) int64, the tracks to use.
        sample_rate: of the files, in Hz.
        label_rate_hz: labels a second.
        crops: [(first epoch, longest clip in samples from then on, or None)], ascending, from epoch 0.
        training: shuffle and draw anew each epoch; False gives the same clips every time.
        seed: of order, crops and clip seeds.
        pad_audio: pad a batch's shorter clips; False cuts all to the shortest.
        random_crop: False takes the beginning of each track.
        normalize: zero mean and unit variance, a clip at a time, as float32.
        max_unreadable_share: of the tracks of an epoch.
    """

    def __init__(
        self,
        manifest: Manifest,
        labels: FrameLabels,
        class_table: ClassTable,
        tracks: np.ndarray,
        *,
        sample_rate: int,
        label_rate_hz: float,
        crops: Sequence[tuple[int, int | None]],
        training: bool,
        seed: int,
        pad_audio: bool = False,
        random_crop: bool = True,
        normalize: bool = False,
        max_unreadable_share: float = 0.01,
    ) -> None:
        self._manifest, self._labels, self._class_table, self._tracks = manifest, labels, class_table, tracks
        self._sample_rate, self._label_rate_hz = sample_rate, label_rate_hz
        self._hop = hop_samples(sample_rate, label_rate_hz)
        self._crops, self._training, self._seed = list(crops), training, seed
        self._pad_audio, self._random_crop = pad_audio, random_crop
        self.collater = Collater(sample_rate, label_rate_hz, pad_audio, random_crop, normalize)
        # a track ends where its audio does, or its labels if they end first
        self._usable = np.minimum(manifest.samples[tracks], labels.frames[tracks] * self._hop)
        self._unreadable = UnreadableTracks(len(tracks), max_unreadable_share)
        self._start_epoch(1 if training else FIXED_EPOCH)

    def __len__(self) -> int:
        return len(self._tracks)

    def __getitem__(self, index: int) -> Clip:
        """Read a clip; one that cannot be read is replaced by another, counted and logged.

        Raises:
            TooManyUnreadableError: if that happened too often in this epoch.
        """
        track, length = int(self._tracks[index]), int(self.sizes[index])
        draw = clip_draw(self._seed, self.epoch, track)
        try:
            wave, classes = self._read(int(index), length, draw.crop)
            replaced = False
        except (AudioError, OSError) as error:
            self._unreadable.add(int(index), error)
            wave, classes = self._read_another(track, length)
            replaced = True
        return Clip(track, wave, classes, draw.trim, draw.clip_seed, replaced)

    def _read(self, index: int, length: int, place: float) -> tuple[np.ndarray, np.ndarray]:
        """A crop: (length,) int16, and its classes (L, Q) int64."""
        track = int(self._tracks[index])
        start = crop_start(place, int(self._usable[index]), length, self._hop) if self._random_crop else 0
        wave = read_span(self._manifest.audio_path(track), start, length, sample_rate=self._sample_rate)
        first, last = label_span(start, length, self._sample_rate, self._label_rate_hz)
        return wave, self._class_table.classes(self._labels.codes(track, first, last), self._labels, track)

    def _read_another(self, track: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """A crop of another track that is long enough, the same one for the same seed, epoch and track."""
        draws = generator(self._seed, self.epoch, REPLACEMENT, track)
        eligible = np.flatnonzero(self._usable >= length)
        for _ in range(MAX_ATTEMPTS):
            index = int(draws.choice(eligible))
            try:
                return self._read(index, length, draws.random())
            except (AudioError, OSError) as error:
                self._unreadable.add(index, error)
        raise TooManyUnreadableError(
            f"{self._manifest.root}: found {MAX_ATTEMPTS} unreadable tracks in a row, expected a few. Is the folder "
            f"still there?"
        )

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
        crop = [samples for first_epoch, samples in self._crops if first_epoch <= epoch][-1]
        self.sizes = self._usable if crop is None else np.minimum(self._usable, crop)

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
                f"dataset.max_tokens: found {max_tokens} samples a batch, expected at least {longest}, the longest "
                f"clip. Raise it, or lower task.max_sample_size."
            )
        # Not fairseq's: it loses clips where the multiple (8 by default) is larger than a batch.
        max_padding = MAX_PADDING if self._pad_audio else 1.0
        return padded_batches(indices, self.sizes, max_tokens, max_sentences, required_batch_size_multiple, max_padding)
