"""Random numbers that follow from (seed, epoch, track) alone: the same whatever the workers, ranks and resumes."""

from typing import NamedTuple

import numpy as np

# What the numbers are for, so that no two purposes share them.
ORDER, CLIP, REPLACEMENT, SHARD = range(4)
FIXED_EPOCH = 0  # of validation: fairseq counts from 1


class ClipDraw(NamedTuple):
    """What is random about a clip: two places in [0, 1), and the seed of its mask and mixture."""

    crop: float
    trim: float
    clip_seed: int


def generator(seed: int, epoch: int, purpose: int, track: int = 0, crop: int = 0) -> np.random.Generator:
    """The generator of one purpose; ``crop`` counts the crops of a track within an epoch."""
    return np.random.default_rng([seed, epoch, purpose, track, crop] if crop else [seed, epoch, purpose, track])


def clip_draw(seed: int, epoch: int, track: int, crop: int = 0) -> ClipDraw:
    numbers = generator(seed, epoch, CLIP, track, crop)
    return ClipDraw(numbers.random(), numbers.random(), int(numbers.integers(1 << 62)))


def crops_of_tracks(samples: np.ndarray, crop_samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As many crops of each track as fit into it end to end, at least one.

    Args:
        samples: (tracks,) of each track.
        crop_samples: of a crop.

    Returns:
        For each crop of the epoch its track's index, its number within the track, and how many the track has:
        three (crops,) int64 arrays.
    """
    counts = np.maximum(1, samples // crop_samples)
    tracks = np.repeat(np.arange(len(samples)), counts)
    numbers = np.arange(len(tracks)) - np.repeat(np.cumsum(counts) - counts, counts)
    return tracks, numbers, counts[tracks]


def crop_start(place: float, size: int, length: int, hop: int) -> int:
    """Start of a crop that fits and lies on a label, each equally likely.

    Args:
        place: in [0, 1).
        size: samples there are.
        length: samples wanted, no more than ``size``.
        hop: samples a label.

    Returns:
        A multiple of ``hop``.
    """
    return hop * int(place * ((size - length) // hop + 1))


def shard_of_epoch(seed: int, epoch: int, shards: int, at_random: bool) -> int:
    """Which of the shards epoch 1, 2, ... trains on: in order, or drawn."""
    return int(generator(seed, epoch, SHARD).integers(shards)) if at_random else (epoch - 1) % shards
