"""How labels use their codes: counts, entropy, perplexity, and how long a code lasts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from mert_fairseq.labels import LabelDictionary, LabelError, open_labels


class CodeStatistics:
    """Sums over the tracks of a split, for all codebooks.

    Attributes:
        counts: one (K,) int64 per codebook.
        runs: (Q,) int64, number of runs of one code within a track.
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
        """One row per codebook: codes used, entropy, perplexity, share of the most frequent code, mean duration."""
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
    """Entropy of the code distribution. Perplexity is 2 ** entropy: that many equally used codes have this entropy."""
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(-(shares * np.log2(shares)).sum()) + 0.0


class SplitUsage(NamedTuple):
    """How the labels of a split use their codes."""

    split: str
    tracks: int
    hours: float
    counts: list[np.ndarray]  # one (K,) int64 per label, in the order of its codes
    rows: list[dict[str, Any]]  # as CodeStatistics.summary returns them, with the label's name


def label_usage(
    label_dir: Path, split: str, labels: Sequence[str], label_rate_hz: float, tracks: int | None = None
) -> SplitUsage:
    """Count the codes of a split's label files.

    Args:
        label_dir: folder of label files and dictionaries.
        split: such as ``train``.
        labels: such as ``["rvq_0", "rvq_1"]``.
        label_rate_hz: codes per second.
        tracks: count at most this many, evenly spread over the split; None counts all.

    Raises:
        LabelError: if labels or dictionaries are missing or a code is not in its dictionary.
    """
    known = [LabelDictionary.read(label_dir / f"dict.{label}.txt").lookup() >= 0 for label in labels]
    opened = open_labels(label_dir, split, labels)
    statistics = CodeStatistics([int(codes.sum()) for codes in known])
    chosen = np.unique(np.linspace(0, len(opened) - 1, min(tracks or len(opened), len(opened))).astype(int))
    for track in tqdm(chosen, desc=f"{split} labels", unit=" tracks", leave=False):
        columns = zip(opened.codes(int(track)).T, known, labels, strict=True)
        statistics.add(np.stack([_dictionary_ranks(*column, opened.where(int(track))) for column in columns], axis=1))
    rows = [{"label": label, **row} for label, row in zip(labels, statistics.summary(label_rate_hz), strict=True)]
    return SplitUsage(split, statistics.tracks, statistics.frames / label_rate_hz / 3600, statistics.counts, rows)


def _dictionary_ranks(codes: np.ndarray, known: np.ndarray, label: str, where: str) -> np.ndarray:
    """Number the codes among those in the dictionary, from 0, so that counts have no gaps.

    Args:
        codes: (frames,) of a track.
        known: (largest code + 1,) bool, whether the dictionary has each code.
        label: its name, for the message.
        where: the track, for the message.
    """
    inside = codes < len(known)
    has_class = np.zeros(len(codes), dtype=bool)
    has_class[inside] = known[codes[inside]]
    if not has_class.all():
        raise LabelError(
            f"{where}: found code {codes[~has_class][0]} of {label}, expected one of the {known.sum()} codes in its "
            f"dictionary. Make the labels and their dictionaries again."
        )
    return (np.cumsum(known) - 1)[codes]
