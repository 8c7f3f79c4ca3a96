"""What turns a track into codes: the interface that labelling works with, and features with their quantiser as one."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mert_fairseq.teachers.features import FrameFeatures
from mert_fairseq.teachers.rvq import ResidualKMeans

FEATURES_KEY = "features"


class Labeller(Protocol):
    """A teacher of discrete codes.

    Attributes:
        sample_rate: of the audio that it takes, in Hz.
        label_rate_hz: codes a second; it must divide the sample rate, and the last, partial code counts.
        codebook_sizes: codes of each codebook.
    """

    sample_rate: int
    label_rate_hz: float
    codebook_sizes: list[int]

    def codes_of_batch(self, tracks: Sequence[Iterable[np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        """Codes of tracks in bounded memory; each track has those that it gets alone.

        Args:
            tracks: of each its (n,) float32 mono blocks, end to end, at least one sample in all.

        Yields:
            (place among the tracks, (frames, Q) uint16): parts of a track's codes, in their order; in all
            ceil(samples x label_rate_hz / sample_rate) frames a track.
        """
        ...


class FeatureLabeller:
    """Frame features and the (residual) K-means fitted on them."""

    def __init__(self, features: FrameFeatures, quantiser: ResidualKMeans):
        self.features = features
        self.quantiser = quantiser
        self.sample_rate = features.sample_rate
        self.label_rate_hz = features.label_rate_hz
        self.codebook_sizes = quantiser.codebook_sizes

    @classmethod
    def load(cls, path: str | Path) -> "FeatureLabeller":
        """Read a fitted teacher; the file says which features it takes.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no teacher, or was fitted on features that are not made here.
        """
        quantiser = ResidualKMeans.load(path)
        settings: dict[str, Any] | None = quantiser.about.get(FEATURES_KEY)
        if not isinstance(settings, dict):
            raise ValueError(f"{path}: does not say which features it was fitted on. Fit the teacher again.")
        return cls(FrameFeatures(**settings), quantiser)

    def codes_of_batch(self, tracks: Sequence[Iterable[np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        """Codes of the tracks, one after the other: (place, (frames, Q) uint16) at a time."""
        for place, blocks in enumerate(tracks):
            yield from ((place, codes) for codes in self.codes(blocks))

    def codes(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Codes of one track: (n,) float32 blocks to (frames, Q) uint16, some at a time."""
        for rows in self.features.stream(blocks):
            yield self.quantiser.encode(rows)
