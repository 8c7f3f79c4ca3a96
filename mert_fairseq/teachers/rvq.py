"""Residual K-means: each codebook clusters the residual of the codebooks before it; needs no pretrained weights.

With one codebook this is the K-means teacher of HuBERT and MERT-v0.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mert_fairseq.archives import load_npz, save_npz
from mert_fairseq.teachers.kmeans import ROWS_AT_ONCE, check_distinct_rows, fit_kmeans, nearest, sample_rows

FORMAT = {"format": "mert_fairseq residual K-means", "version": 1}
FIT_ONE = "Fit one: preprocess/extract_rvq_labels.py fit or kmeans_labels.py fit."
MAX_CODES = 1 << 16
CONSTANT = 1e-6  # dimensions that vary less are not scaled to unit variance


@dataclass(frozen=True)
class ResidualKMeans:
    """A fitted quantiser of frame features.

    Attributes:
        centroids: (Q, K, D) float32, of standardised features.
        mean: (D,) float32, and
        scale: (D,) float32, standardise a frame: (frame - mean) / scale.
        metadata: JSON values stored with the quantiser: the features, the seed, what it was fitted on.
    """

    centroids: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        stream: Iterable[np.ndarray],
        codebooks: int = 8,
        codes: int = 1024,
        seed: int = 0,
        max_frames: int = 200_000,
        metadata: dict[str, Any] | None = None,
        progress: Callable[[int], None] = lambda codebook: None,
    ) -> "ResidualKMeans":
        """Fit all codebooks on a uniform sample of a stream, which is read once.

        Args:
            stream: (frames, D) float32 arrays; takes about ``max_frames`` x D floats of memory.
            codebooks: Q.
            codes: K of each codebook, 2 to 65,536.
            seed: the same stream and seed give the same codebooks.
            max_frames: size of the sample.
            metadata: stored with the result.
            progress: called with the number of codebooks done.

        Raises:
            ValueError: if there are fewer distinct frames than codes, all frames are alike, a value is not finite, or
                a number is out of range.
        """
        check_sizes(codebooks, codes, max_frames)
        residual = sample_rows(stream, max_frames, seed)
        check_distinct_rows(residual, codes)
        mean = residual.mean(0, dtype=np.float64).astype(np.float32)
        residual -= mean
        scale = np.sqrt(squares(residual) / len(residual)).astype(np.float32)
        if (scale < CONSTANT).all():
            raise ValueError(
                f"residual K-means: found {len(residual)} frames that differ by less than {CONSTANT:g}, as in silence, "
                f"expected frames that vary. Fit on other audio."
            )
        scale[scale < CONSTANT] = 1
        residual /= scale
        centroids = np.empty((codebooks, codes, residual.shape[1]), dtype=np.float32)
        for q in range(codebooks):
            centroids[q] = fit_kmeans(residual, codes, seed + q)
            best = nearest(residual, centroids[q])
            for start in range(0, len(residual), ROWS_AT_ONCE):
                rows = slice(start, start + ROWS_AT_ONCE)
                residual[rows] -= centroids[q][best[rows]]
            progress(q + 1)
        share = float(squares(residual).sum() / residual.size)
        fitted = {"seed": seed, "fitted_on_frames": len(residual), "residual_share": share}
        return cls(centroids, mean, scale, {**(metadata or {}), **fitted})

    @property
    def codebook_sizes(self) -> list[int]:
        """Codes of each codebook."""
        return [self.centroids.shape[1]] * self.centroids.shape[0]

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Codes of each frame.

        Args:
            frames: (F, D) float32.

        Returns:
            (F, Q) uint16.

        Raises:
            ValueError: if D differs from that of the codebooks.
        """
        dim = self.centroids.shape[2]
        if frames.ndim != 2 or frames.shape[1] != dim:
            raise ValueError(
                f"residual K-means: frames of shape {frames.shape}, expected (frames, {dim}): the features must be "
                f"those of the fit."
            )
        residual = (frames.astype(np.float32) - self.mean) / self.scale
        codes = np.empty((len(frames), len(self.centroids)), dtype=np.uint16)
        for q, centroids in enumerate(self.centroids):
            best = nearest(residual, centroids)
            residual -= centroids[best]
            codes[:, q] = best
        return codes

    def save(self, path: str | Path) -> None:
        """Write one .npz without pickled objects; the same quantiser always makes the same bytes."""
        arrays = {"centroids": self.centroids, "mean": self.mean, "scale": self.scale}
        save_npz(path, "header", {**FORMAT, **self.metadata}, arrays)

    @classmethod
    def load(cls, path: str | Path) -> "ResidualKMeans":
        """Read what ``save`` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is not such a file, or of another version.
        """
        header, arrays = load_npz(path, "header", ("centroids", "mean", "scale"), "K-means teacher", FIT_ONE)
        if {name: header.pop(name, None) for name in FORMAT} != FORMAT:
            raise ValueError(f"{path}: expected {FORMAT}. {FIT_ONE}")
        centroids, mean, scale = arrays.values()
        fits = centroids.ndim == 3 and mean.shape == scale.shape == centroids.shape[2:]
        if not fits or min(centroids.shape) < 1 or centroids.shape[1] > MAX_CODES:
            raise ValueError(
                f"{path}: found centroids, mean and scale of shape {centroids.shape}, {mean.shape} and {scale.shape}, "
                f"expected (codebooks, codes, D) with codes up to {MAX_CODES}, (D,) and (D,). {FIT_ONE}"
            )
        return cls(centroids, mean, scale, header)


def check_sizes(codebooks: int, codes: int, max_frames: int) -> None:
    """Check the numbers before any audio is read.

    Raises:
        ValueError: if there is no codebook, codebooks are too small or large, or ``max_frames`` is below ``codes``.
    """
    if codebooks < 1 or not 2 <= codes <= MAX_CODES:
        raise ValueError(
            f"residual K-means: found {codebooks} codebooks of {codes} codes, expected 1 or more of 2 to {MAX_CODES}. "
            f"Correct --codebooks and --codes."
        )
    if max_frames < codes:
        raise ValueError(
            f"residual K-means: found at most {max_frames} frames to cluster, expected {codes} or more, as many as "
            f"codes. Increase --max-frames."
        )


def squares(rows: np.ndarray) -> np.ndarray:
    """(D,) sums of squares of the columns of (N, D) float32, in float64, without a copy."""
    return np.einsum("nd,nd->d", rows, rows, dtype=np.float64)
