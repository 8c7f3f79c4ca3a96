"""Which clips share a batch when shorter ones are padded: like with like."""

import numpy as np

MAX_PADDING = 0.05  # of a batch
BUCKET_RATIO = 1.05  # longest over shortest in a bucket: padding within one stays below 1 - 1 / 1.05


def bucketed_order(sizes: np.ndarray, shuffle: np.random.Generator | None) -> np.ndarray:
    """Longest first; shuffled among clips whose lengths differ by less than 5 %, so that epochs batch differently.

    Args:
        sizes: (clips,) in samples.
        shuffle: None keeps the order of equal lengths.

    Returns:
        (clips,) int64 indices.
    """
    if shuffle is None:
        return np.argsort(-sizes, kind="stable")
    buckets = np.floor(np.log(np.maximum(sizes, 1)) / np.log(BUCKET_RATIO)).astype(np.int64)
    # the longest that occurs, often the crop of all long tracks, gets a bucket of its own
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
    """Cut an order into batches, none of which is padded by more than a share.

    Args:
        order: indices, similar lengths together.
        sizes: (clips,) samples of every clip.
        max_samples: a batch's clips times its longest clip; None for no limit.
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
