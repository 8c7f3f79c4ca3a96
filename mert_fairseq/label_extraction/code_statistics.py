"""How a teacher uses its codes: counts, perplexity, entropy, and how long a code lasts."""

from typing import Any

import numpy as np


class CodeStatistics:
    """Sums over the tracks of a split, for all codebooks.

    Attributes:
        counts: one (K,) int64 a codebook.
        runs: (Q,) int64, stretches of the same code within a track.
        frames: of all tracks.
        tracks: number of them.
    """

    def __init__(self, codebook_sizes: list[int]):
        self.counts = [np.zeros(size, dtype=np.int64) for size in codebook_sizes]
        self.runs = np.zeros(len(codebook_sizes), dtype=np.int64)
        self.frames = 0
        self.tracks = 0

    def add(self, codes: np.ndarray) -> None:
        """Add a track: (frames, Q) codes."""
        for counts, column in zip(self.counts, codes.T, strict=True):
            counts += np.bincount(column, minlength=len(counts))
        if len(codes):
            self.runs += 1 + (codes[1:] != codes[:-1]).sum(0)
        self.frames += len(codes)
        self.tracks += 1

    def summary(self, label_rate_hz: float) -> list[dict[str, Any]]:
        """A row a codebook: codes used, entropy in bits, perplexity, share of the most frequent code, duration."""
        return [
            {
                "codes": len(counts),
                "used": int((counts > 0).sum()),
                "entropy_bits": round(entropy_bits(counts), 4),
                "perplexity": round(2 ** entropy_bits(counts), 2),
                "most_frequent_share": round(float(counts.max() / max(1, counts.sum())), 4),
                "mean_duration_ms": round(float(1000 * self.frames / max(1, int(runs)) / label_rate_hz), 2),
            }
            for counts, runs in zip(self.counts, self.runs, strict=True)
        ]


def entropy_bits(counts: np.ndarray) -> float:
    """Entropy of the codes' distribution; perplexity is 2 to its power, the codes in equal use that it amounts to."""
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(-(shares * np.log2(shares)).sum()) + 0.0
