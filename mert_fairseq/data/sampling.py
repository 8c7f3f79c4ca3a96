"""What an epoch consists of: its crops, its shard, the order of its clips, and the clips of each batch.

All random numbers are functions of (seed, epoch, track). They do not depend on the number of workers or ranks, nor on
where a run resumes.
"""

from typing import NamedTuple

import numpy as np

# Purposes of random numbers. Each has its own stream.
ORDER, CLIP, REPLACEMENT, SHARD = range(4)
FIXED_EPOCH = 0  # of validation; fairseq counts training epochs from 1

MAX_PADDING = 0.05  # share of a batch
BUCKET_RATIO = 1.05  # longest over shortest clip of a bucket; the padding within a bucket is below 1 - 1 / 1.05


class ClipDraw(NamedTuple):
    """The random numbers of a clip: two positions in [0, 1), and the seed of its mask and mixture."""

    crop: float
    trim: float
    clip_seed: int


def generator(seed: int, epoch: int, purpose: int, track: int = 0, crop: int = 0) -> np.random.Generator:
    """The generator for one purpose; ``crop`` counts the crops of a track within an epoch."""
    return np.random.default_rng([seed, epoch, purpose, track, crop] if crop else [seed, epoch, purpose, track])


def clip_draw(seed: int, epoch: int, track: int, crop: int = 0) -> ClipDraw:
    rng = generator(seed, epoch, CLIP, track, crop)
    return ClipDraw(rng.random(), rng.random(), int(rng.integers(1 << 62)))


def shard_of_epoch(seed: int, epoch: int, shards: int, at_random: bool) -> int:
    """The shard that epoch 1, 2, ... trains on: at random, or in order."""
    return int(generator(seed, epoch, SHARD).integers(shards)) if at_random else (epoch - 1) % shards


def crops_of_tracks(samples: np.ndarray, crop_samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As many crops of each track as fit into it end to end, at least one.

    Args:
        samples: (tracks,) length of each track.
        crop_samples: length of a crop.

    Returns:
        For each crop of the epoch: the index of its track, its number within the track, and the number of crops of
        that track. Three (crops,) int64 arrays.
    """
    counts = np.maximum(1, samples // crop_samples)
    tracks = np.repeat(np.arange(len(samples)), counts)
    numbers = np.arange(len(tracks)) - np.repeat(np.cumsum(counts) - counts, counts)
    return tracks, numbers, counts[tracks]


def crop_start(position: float, size: int, length: int, hop: int) -> int:
    """Start of a crop that fits and begins on a label boundary; all such starts are equally likely.

    Args:
        position: in [0, 1).
        size: samples available.
        length: samples of the crop, at most ``size``.
        hop: samples per label.

    Returns:
        A multiple of ``hop``.
    """
    return hop * int(position * ((size - length) // hop + 1))


def bucketed_order(sizes: np.ndarray, shuffle: np.random.Generator | None) -> np.ndarray:
    """Longest clips first; clips whose lengths differ by less than 5 % are shuffled, so that batches vary by epoch.

    Args:
        sizes: (clips,) in samples.
        shuffle: None keeps clips of equal length in their order.

    Returns:
        (clips,) int64 indices.
    """
    if shuffle is None:
        return np.argsort(-sizes, kind="stable")
    buckets = np.floor(np.log(np.maximum(sizes, 1)) / np.log(BUCKET_RATIO)).astype(np.int64)
    # The greatest length, often that of the crop of all long tracks, has a bucket of its own.
    buckets[sizes == sizes.max(initial=0)] += 1
    return np.lexsort([shuffle.random(len(sizes)), -buckets])


def padded_batches(
    order: np.ndarray,
    sizes: np.ndarray,
    max_samples: int | None,
    max_clips: int | None,
    multiple: int = 1,
    max_padding: float = MAX_PADDING,
) -> list[np.ndarray]:
    """Cut an order into batches with a limited share of padding.

    Args:
        order: indices; clips of similar length stand together.
        sizes: (clips,) samples of every clip.
        max_samples: limit of the number of clips times the longest clip of a batch; None for no limit.
        max_clips: None for no limit.
        multiple: the number of clips is a multiple of it, or less than it.
        max_padding: share of a batch's samples that may be padding.

    Returns:
        Arrays of indices that hold each index of ``order`` once, in that order.
    """
    ordered = sizes[order].tolist()
    most_samples = max_samples or sum(ordered) * max(len(ordered), 1)
    most_clips = max_clips or len(ordered)
    batches, start = [], 0
    while start < len(ordered):
        longest = total = 0
        end = start
        while end < len(ordered) and end - start < most_clips:
            longest, total = max(longest, ordered[end]), total + ordered[end]
            area = longest * (end - start + 1)
            if end > start and (area > most_samples or area - total > max_padding * area):
                break
            end += 1
        if end - start > multiple:
            end -= (end - start) % multiple
        batches.append(order[start:end])
        start = end
    return batches


def padding_share(batches: list[np.ndarray], sizes: np.ndarray) -> float:
    """Share of all samples in the batches that is padding."""
    area = sum(int(sizes[batch].max()) * len(batch) for batch in batches)
    return 1 - sum(int(sizes[batch].sum()) for batch in batches) / area if area else 0.0
