"""What turns a track into codes: the interface that labelling works with, and features with their quantiser as one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mert_fairseq.teachers.features import DEFAULT_WIDTH, FrameFeatures
from mert_fairseq.teachers.rvq import ResidualKMeans

FEATURES_KEY = "features"


class Features(Protocol):
    """What K-means clusters: rows of numbers on a clock."""

    @property
    def name(self) -> str:
        """For label names."""

    @property
    def settings(self) -> dict[str, Any]:
        """Plain values, with the ``kind``, from which the features are made again."""

    @property
    def sample_rate(self) -> int:
        """Of the audio, in Hz."""

    @property
    def label_rate_hz(self) -> float:
        """Rows a second."""

    @property
    def hop_samples(self) -> int:
        """Samples from one row to the next."""

    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """(n,) float32 blocks of a track to (rows, D) float32, ceil(samples / hop) rows in all."""


MakeFeatures = Callable[[dict[str, Any]], Features]


def frame_features(settings: dict[str, Any]) -> FrameFeatures:
    """Log-mel, MFCC or chroma from their settings.

    Raises:
        ValueError: if they are of another kind, or do not fit.
    """
    kind = settings.get("kind")
    if kind not in DEFAULT_WIDTH:
        raise ValueError(
            f"found features of kind {kind!r}, expected {', '.join(DEFAULT_WIDTH)}. Features of a model's layer are "
            f"labelled with preprocess/kmeans_labels.py."
        )
    try:
        return FrameFeatures(**settings)
    except TypeError as error:
        raise ValueError(f"found settings that are not those of {kind} ({error}). Fit the teacher again.") from error


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
    """Features and the (residual) K-means fitted on them."""

    def __init__(self, features: Features, quantiser: ResidualKMeans):
        self.features = features
        self.quantiser = quantiser
        self.sample_rate = features.sample_rate
        self.label_rate_hz = features.label_rate_hz
        self.codebook_sizes = quantiser.codebook_sizes

    @classmethod
    def load(cls, path: str | Path, make_features: MakeFeatures = frame_features) -> "FeatureLabeller":
        """Read a fitted teacher; the file says which features it takes, ``make_features`` makes them.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no teacher, or was fitted on features that are not made here.
        """
        quantiser = ResidualKMeans.load(path)
        settings: dict[str, Any] | None = quantiser.about.get(FEATURES_KEY)
        if not isinstance(settings, dict):
            raise ValueError(f"{path}: does not say which features it was fitted on. Fit the teacher again.")
        try:
            return cls(make_features(settings), quantiser)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def codes_of_batch(self, tracks: Sequence[Iterable[np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        """Codes of the tracks, one after the other: (place, (frames, Q) uint16) at a time."""
        for place, blocks in enumerate(tracks):
            yield from ((place, codes) for codes in self.codes(blocks))

    def codes(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Codes of one track: (n,) float32 blocks to (frames, Q) uint16, some at a time."""
        for rows in self.features.stream(blocks):
            yield self.quantiser.encode(rows)
