"""K-means: draw a sample from a stream, fit centroids with scikit-learn, find the nearest centroid fast."""

from collections.abc import Iterable

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits

ROWS_AT_ONCE = 4096


def sample_rows(stream: Iterable[np.ndarray], max_rows: int, seed: int) -> np.ndarray:
    """Draw a uniform sample of the rows of a stream, which is read once (reservoir sampling).

    Args:
        stream: (rows, D) float32 each.
        max_rows: keep at most this many rows, which take most of the memory.
        seed: of the draw.

    Returns:
        (min(rows of the stream, max_rows), D) float32.

    Raises:
        ValueError: if the stream is empty, or a value is not finite.
    """
    generator = np.random.default_rng(seed)
    kept: np.ndarray | None = None
    seen = 0
    for rows in stream:
        if not np.isfinite(rows).all():
            raise ValueError(
                f"K-means: found NaN or infinity in row {seen} to {seen + len(rows)} of the features, expected finite "
                f"values."
            )
        if kept is None:
            kept = np.empty((max_rows, rows.shape[1]), dtype=np.float32)
        direct = max(0, min(max_rows - seen, len(rows)))
        kept[seen : seen + direct] = rows[:direct]
        # Row n replaces a random kept row with probability max_rows / n.
        places = generator.integers(0, np.arange(seen + direct, seen + len(rows)) + 1)
        chosen = np.flatnonzero(places < max_rows)
        for place, row in zip(places[chosen], rows[direct:][chosen], strict=True):
            kept[place] = row
        seen += len(rows)
    if kept is None or seen == 0:
        raise ValueError("K-means: found no row of features to fit on, expected at least one. Give at least one track.")
    return kept[:seen]


def check_distinct_rows(rows: np.ndarray, classes: int) -> None:
    """Check that there are enough distinct rows for a number of classes.

    Args:
        rows: (N, D) float32.
        classes: number of clusters.

    Raises:
        ValueError: if there are fewer distinct rows than classes.
    """
    distinct: set[bytes] = set()
    for row in rows:
        distinct.add(row.tobytes())
        if len(distinct) >= classes:
            return
    raise ValueError(
        f"K-means: found {len(rows)} frames, {len(distinct)} of them distinct, expected {classes} or more, one per "
        f"class. Fit on more audio that is not silent (--hours, --max-frames), or ask for fewer classes."
    )


def fit_kmeans(rows: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Fit centroids with scikit-learn's MiniBatchKMeans, started by k-means++.

    Runs on one thread, so that sums do not depend on the number of cores. When other jobs use the cores, OpenMP's
    threads also wait for each other (20 times slower was seen).

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
    """Number of the nearest centroid of each row; of two equally near, the lower number.

    Numpy's argmax is ten times as fast as torch's here, and argmax is half the work.

    Args:
        rows: (N, D) float32.
        centroids: (K, D) float32.

    Returns:
        (N,) int64.
    """
    half_squares = np.square(centroids).sum(1) / 2
    codes = np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        score = rows[some] @ centroids.T
        score -= half_squares
        codes[some] = score.argmax(1)
    return codes
