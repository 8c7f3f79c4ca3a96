"""Data set of audio clips with the genres of their tracks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from mert_fairseq.data.clip_dataset import ClipDataset
from mert_fairseq.data.collate import pad_waves
from mert_fairseq.data.sampling import MAX_PADDING, clip_draw, crop_start
from mert_fairseq.manifest import Manifest


def clip_starts(samples: int, clip_samples: int, most: int) -> list[int]:
    """Return the start samples of evenly spaced clips: enough to cover the track, but at most ``most``.

    A track that is not longer than a clip has one clip, from its beginning. A single clip of a longer track is its
    middle.
    """
    spare = max(0, samples - clip_samples)
    count = min(most, -(-samples // clip_samples))
    if count < 2:
        return [spare // 2]
    return [round(spare * place / (count - 1)) for place in range(count)]


class TrackClips(NamedTuple):
    """The clips of one track, as a data-loader worker reads them.

    Attributes:
        track: line in the manifest, from 0.
        clips: each (T,) int16, all of the same length.
        target: int64 scalar, or (G,) float32 of 0 and 1.
        replaced: whether this track replaces another one that could not be read.
    """

    track: int
    clips: list[np.ndarray]
    target: np.ndarray
    replaced: bool


class GenreAudioDataset(ClipDataset):
    """One split. Training reads one random crop per track and epoch; else the clips are evenly spaced and fixed.

    Args:
        manifest: all tracks.
        tracks: (B,) int64, the tracks to use.
        targets: (B,) int64 classes, or (B, G) float32 of 0 and 1.
        sample_rate: of the files, in Hz.
        clip_samples: clip length; a shorter track is one clip, padded in the batch.
        test_clips: maximum clips per track when not training.
        training: whether to draw random crops.
        seed: of order and crops.
        max_unreadable_share: maximum share of unreadable training tracks per epoch; they are replaced. An unreadable
            test track is an error.
    """

    longest_item = "all clips of a track. Raise it, or lower task.max_sample_size or task.test_clips"

    def __init__(
        self,
        manifest: Manifest,
        tracks: np.ndarray,
        targets: np.ndarray,
        *,
        sample_rate: int,
        clip_samples: int,
        test_clips: int,
        training: bool,
        seed: int,
        max_unreadable_share: float = 0.01,
    ) -> None:
        usable = manifest.samples[tracks]
        super().__init__(
            manifest,
            tracks,
            usable,
            sample_rate=sample_rate,
            training=training,
            seed=seed,
            max_padding=MAX_PADDING,
            max_unreadable_share=max_unreadable_share,
        )
        self._targets, self._clip_samples, self._test_clips = targets, clip_samples, test_clips
        clips = np.array([1 if training else len(self._starts(index)) for index in range(len(tracks))])
        self.sizes = clips * np.minimum(usable, clip_samples)

    def _starts(self, index: int) -> list[int]:
        return clip_starts(int(self._usable[index]), self._clip_samples, self._test_clips)

    def __getitem__(self, index: int) -> TrackClips:
        """Read the clips of a track. An unreadable training track is replaced by another, counted and logged.

        Raises:
            TooManyUnreadableError: if too many tracks of this epoch were unreadable.
            AudioError: if a validation or test track is unreadable.
        """
        index = int(index)
        length = min(int(self._usable[index]), self._clip_samples)
        if not self._training:
            clips = [self._cut(index, start, length) for start in self._starts(index)]
            return TrackClips(int(self._tracks[index]), clips, self._targets[index], False)
        draw = clip_draw(self._seed, self.epoch, int(self._tracks[index]))
        read, clip, replaced = self._read_or_replace(index, length, draw.crop)
        return TrackClips(int(self._tracks[read]), [clip], self._targets[read], replaced)

    def _read(self, index: int, length: int, position: float) -> np.ndarray:
        return self._cut(index, crop_start(position, int(self._usable[index]), length, hop=1), length)

    def collater(self, tracks: Sequence[TrackClips]) -> dict[str, Any]:
        """Make a batch of B tracks and C clips of T samples.

        Returns:
            id (B,) int64; net_input: the output of `stack_clips`; target (B,) int64 or (B, G) float32; ntokens: B;
            unreadable: number of replaced tracks.
        """
        if not tracks:
            return {}
        return {
            "id": torch.tensor([track.track for track in tracks]),
            "net_input": stack_clips([track.clips for track in tracks]),
            "target": torch.from_numpy(np.stack([track.target for track in tracks])),
            "ntokens": len(tracks),
            "unreadable": sum(track.replaced for track in tracks),
        }


def stack_clips(clips_of_tracks: Sequence[Sequence[np.ndarray]]) -> dict[str, torch.Tensor | None]:
    """Build the input of the model ``mert_genre``.

    Args:
        clips_of_tracks: clips of each of B tracks, C clips in total, each (T',) int16 or float32.

    Returns:
        source (C, T), padded with 0; padding_mask (C, T) bool, True for padding, or None; clips_per_track (B,) int64,
        or None if every track has one clip.
    """
    clips = [clip for track in clips_of_tracks for clip in track]
    source, padding_mask = pad_waves(clips)
    counts = torch.tensor([len(track) for track in clips_of_tracks])
    return {
        "source": source,
        "padding_mask": padding_mask,
        "clips_per_track": None if len(clips) == len(counts) else counts,
    }
