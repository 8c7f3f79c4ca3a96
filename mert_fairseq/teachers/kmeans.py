"""K-means: draw a sample from a stream, fit centroids with scikit-learn, find the nearest ones fast."""

from collections.abc import Iterable

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits

ROWS_AT_ONCE = 4096


def sample_rows(stream: Iterable[np.ndarray], max_rows: int, seed: int) -> np.ndarray:
    """A uniform sample of all rows of a stream that is read once (reservoir sampling).

    Args:
        stream: (rows, D) float32 each.
        max_rows: most rows to keep; memory is that of this many.
        seed: of the draw.

    Returns:
        (min(rows of the stream, max_rows), D) float32.

    Raises:
        ValueError: if the stream holds no row, or a value that is not finite.
    """
    generator = np.random.default_rng(seed)
    kept: np.ndarray | None = None
    seen = 0
    for rows in stream:
        if not np.isfinite(rows).all():
            raise ValueError(f"K-means: found NaN or infinity in row {seen} to {seen + len(rows)} of the features.")
        if kept is None:
            kept = np.empty((max_rows, rows.shape[1]), dtype=np.float32)
        direct = max(0, min(max_rows - seen, len(rows)))
        kept[seen : seen + direct] = rows[:direct]
        # Row number n replaces a random one of the kept with probability max_rows / n.
        places = generator.integers(0, np.arange(seen + direct, seen + len(rows)) + 1)
        chosen = np.flatnonzero(places < max_rows)
        for place, row in zip(places[chosen], rows[direct:][chosen], strict=True):
            kept[place] = row
        seen += len(rows)
    if kept is None or seen == 0:
        raise ValueError("K-means: the features hold no row to fit on. Give at least one track.")
    return kept[:seen]


def refuse_few(rows: np.ndarray, classes: int) -> None:
    """Refuse rows of which no such number of classes can be made.

    Args:
        rows: (N, D) float32.
        classes: wanted.

    Raises:
        ValueError: if there are fewer rows, or fewer that differ, than classes.
    """
    distinct: set[bytes] = set()
    for row in rows:
        distinct.add(row.tobytes())
        if len(distinct) >= classes:
            return
    raise ValueError(
        f"K-means: {len(rows)} frames, {len(distinct)} of them distinct, cannot make {classes} classes. Fit on more "
        f"audio that is not silent (--hours, --max-frames), or ask for fewer classes."
    )


def fit_kmeans(rows: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Centroids by scikit-learn's MiniBatchKMeans, started by k-means++.

    On one thread: sums do not depend on the machine's number of cores, and where other jobs use the cores, OpenMP's
    threads wait for each other (20 times slower was seen).

    Args:
        rows: (N, D) float32.
        classes: centroids, at most N.
        seed: the same rows and seed give the same centroids.

    Returns:
        (classes, D) float32.

    """
    estimator = MiniBatchKMeans(
        n_clusters=classes,
        batch_size=max(4096, 10 * classes),
        init_size=max(1024, 4 * classes),
        max_iter=100,
        max_no_improvement=20,
        n_init=1,
        random_state=seed,
    )
    with threadpool_limits(1):
        return estimator.fit(rows).cluster_centers_.astype(np.float32)


def nearest(rows: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Number of the nearest centroid of each row, the lower of two as near.

    Numpy's argmax is ten times as fast as torch's here, and argmax is half the work.

    Args:
        rows: (N, D) float32.
        centroids: (K, D) float32.

    Returns:
        (N,) int64.
    """
    half_squares = np.square(centroids).sum(1) / 2
    codes = np.empty(len(rows), dtype=np.int64)
    for at in range(0, len(rows), ROWS_AT_ONCE):
        score = rows[at : at + ROWS_AT_ONCE] @ centroids.T
        score -= half_squares
        codes[at : at + ROWS_AT_ONCE] = score.argmax(1)
    return codes
