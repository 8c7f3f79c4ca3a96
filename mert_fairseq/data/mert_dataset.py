"""Clips of music and the classes of their frames, for masked prediction.

A worker reads only the samples of a clip: it seeks to a crop that (seed, epoch, track) determines, and sends 16-bit
samples. Batches, crops, masks and mixtures depend on the seed only, not on the number of workers or ranks, nor on where
the run resumed.
"""

from collections.abc import Sequence

import numpy as np

from mert_fairseq.data.clip_dataset import ClipDataset, UnreadableTracks
from mert_fairseq.data.collate import Clip, Collater
from mert_fairseq.data.sampling import MAX_PADDING, clip_draw, crop_start, crops_of_tracks
from mert_fairseq.frames import hop_samples, label_span
from mert_fairseq.labels import FrameLabels, LabelDictionary, LabelError
from mert_fairseq.manifest import Manifest
from mert_fairseq.modules.mask_sampler import MaskSampler


class ClassTable:
    """Maps the codes of each column to the classes that the loss predicts, by the column's dictionary."""

    def __init__(self, dictionaries: Sequence[LabelDictionary]) -> None:
        self._dictionaries = dictionaries
        lookups = [dictionary.lookup() for dictionary in dictionaries]
        self._table = np.full((len(lookups), max(map(len, lookups))), -1, dtype=np.int64)
        for row, lookup in zip(self._table, lookups, strict=True):
            row[: len(lookup)] = lookup
        self._columns = np.arange(len(lookups))

    def classes(self, codes: np.ndarray, labels: FrameLabels, track: int) -> np.ndarray:
        """Classes of a track's codes.

        Args:
            codes: (frames, Q) integers, not negative.
            labels: the source of the codes, for messages.
            track: for messages.

        Returns:
            (frames, Q) int64.

        Raises:
            LabelError: if a code is outside its dictionary.
        """
        codes = codes.astype(np.int64)
        classes = self._table[self._columns, np.minimum(codes, self._table.shape[1] - 1)]
        wrong = (classes < 0) | (codes >= self._table.shape[1])
        if wrong.any():
            frame, column = np.argwhere(wrong)[0].tolist()
            raise unknown_code(
                labels.where(track, column),
                labels.columns[column],
                int(codes[frame, column]),
                self._dictionaries[column],
            )
        return classes


def unknown_code(where: str, column: str, code: int, dictionary: LabelDictionary) -> LabelError:
    return LabelError(
        f"{where}: found code {code} of {column}, expected one of the {len(dictionary.symbols)} in {dictionary.path}. "
        f"Labels and dictionary come from different teachers: make both again, or correct task.label_dir."
    )


class MERTDataset(ClipDataset):
    """One split, or one shard of it.

    Args:
        manifest: all tracks.
        labels: of all tracks.
        class_table: of the labels' dictionaries.
        tracks: (clips,) int64, the tracks to use.
        sample_rate: of the files, in Hz.
        label_rate_hz: labels per second.
        crops: [(first epoch, longest clip in samples from that epoch on, or None)], ascending, from epoch 0.
        training: shuffle and sample new crops in each epoch; False returns the same clips every time.
        seed: of order, crops and clip seeds.
        pad_audio: pad the shorter clips of a batch; False cuts all clips to the shortest.
        random_crop: False takes the beginning of each track.
        normalize: scale each clip to zero mean and unit variance, as float32.
        by_seconds: an epoch has as many crops of a track as fit into it; False has one per track.
        max_unreadable_share: of the clips of an epoch.
        mask_sampler: samples the masks of a batch; None leaves that to the model.
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
        by_seconds: bool = False,
        max_unreadable_share: float = 0.01,
        mask_sampler: MaskSampler | None = None,
    ) -> None:
        hop = hop_samples(sample_rate, label_rate_hz)
        # A track ends where its audio or its labels end, whichever is first.
        usable = np.minimum(manifest.samples[tracks], labels.frames[tracks] * hop)
        super().__init__(
            manifest,
            tracks,
            usable,
            sample_rate=sample_rate,
            training=training,
            seed=seed,
            max_padding=MAX_PADDING if pad_audio else 1.0,
            max_unreadable_share=max_unreadable_share,
        )
        self._labels, self._class_table = labels, class_table
        self._label_rate_hz, self._hop = label_rate_hz, hop
        self._crops, self._random_crop = list(crops), random_crop
        self._by_seconds, self._all_tracks, self._all_usable = by_seconds and training, self._tracks, self._usable
        self._crop_numbers, self._crop_counts = np.zeros_like(tracks), np.ones_like(tracks)
        self.collater = Collater(sample_rate, label_rate_hz, pad_audio, random_crop, normalize, mask_sampler)
        self._start_epoch(self.epoch)

    def __getitem__(self, index: int) -> Clip:
        """Read a clip; an unreadable one is counted, logged and replaced by another.

        Raises:
            TooManyUnreadableError: if too many tracks of this epoch are unreadable.
        """
        track = int(self._tracks[index])
        number = self._crop_number(index)
        draw = clip_draw(self._seed, self.epoch, track, number)
        position = (number + draw.crop) / int(self._crop_counts[index])  # one crop in each section of the track
        _, (wave, classes), replaced = self._read_or_replace(int(index), int(self.sizes[index]), position)
        return Clip(track, wave, classes, draw.trim, draw.clip_seed, replaced)

    def _read(self, index: int, length: int, position: float) -> tuple[np.ndarray, np.ndarray]:
        """A crop, (length,) int16, and its classes, (L, Q) int64."""
        track = int(self._tracks[index])
        start = crop_start(position, int(self._usable[index]), length, self._hop) if self._random_crop else 0
        first, last = label_span(start, length, self._sample_rate, self._label_rate_hz)
        classes = self._class_table.classes(self._labels.codes(track, first, last), self._labels, track)
        return self._cut(index, start, length), classes

    def _crop_number(self, index: int) -> int:
        return int(self._crop_numbers[index])

    def _start_epoch(self, epoch: int) -> None:
        super()._start_epoch(epoch)
        crop = [samples for first_epoch, samples in self._crops if first_epoch <= epoch][-1]
        if self._by_seconds and crop is not None:
            tracks, self._crop_numbers, self._crop_counts = crops_of_tracks(self._all_usable, crop)
            self._tracks, self._usable = self._all_tracks[tracks], self._all_usable[tracks]
            self._unreadable = UnreadableTracks(len(tracks), self._max_unreadable_share)
        self.sizes = self._usable if crop is None else np.minimum(self._usable, crop)
