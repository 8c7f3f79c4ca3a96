"""Teachers of discrete codes: the interface that label extraction uses, and K-means on frame features."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mert_fairseq.teachers.features import DEFAULT_WIDTH, FrameFeatures
from mert_fairseq.teachers.rvq import ResidualKMeans

FEATURES_KEY = "features"


class Features(Protocol):
    """Frame features that K-means can cluster: one row of numbers per label."""

    @property
    def name(self) -> str:
        """For label names."""

    @property
    def settings(self) -> dict[str, Any]:
        """Plain values, including ``kind``, from which the same features can be made again."""

    @property
    def sample_rate(self) -> int:
        """Of the audio, in Hz."""

    @property
    def label_rate_hz(self) -> float:
        """Rows per second."""

    @property
    def hop_samples(self) -> int:
        """Samples from one row to the next."""

    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """(n,) float32 blocks of a track to (rows, D) float32, ceil(samples / hop) rows in all."""


MakeFeatures = Callable[[dict[str, Any]], Features]


def frame_features(settings: dict[str, Any]) -> FrameFeatures:
    """Make log-mel, MFCC or chroma features from their settings.

    Raises:
        ValueError: if the kind is another one, or the settings do not fit.
    """
    kind = settings.get("kind")
    if kind not in DEFAULT_WIDTH:
        raise ValueError(
            f"found features of kind {kind!r}, expected {', '.join(DEFAULT_WIDTH)}. For features of a model's layer "
            f"use preprocess/kmeans_labels.py."
        )
    try:
        return FrameFeatures(**settings)
    except TypeError as error:
        raise ValueError(f"found settings that are not those of {kind} ({error}). Fit the teacher again.") from error


class CodeTeacher(Protocol):
    """A teacher of discrete codes.

    Attributes:
        sample_rate: of the audio that it takes, in Hz.
        label_rate_hz: codes per second; must divide the sample rate. A last, partial hop has a code too.
        codebook_sizes: codes of each codebook.
    """

    sample_rate: int
    label_rate_hz: float
    codebook_sizes: list[int]

    def codes_of_batch(self, tracks: Sequence[Iterable[np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        """Compute the codes of tracks in bounded memory; each track has the same codes as alone.

        Args:
            tracks: for each track its (n,) float32 mono blocks, end to end, at least one sample in all.

        Yields:
            (index of the track, (frames, Q) uint16): the codes of a track piece by piece, in order; in all
            ceil(samples x label_rate_hz / sample_rate) frames per track.
        """
        ...


class KMeansTeacher:
    """Frame features and the (residual) K-means that was fitted on them."""

    def __init__(self, features: Features, quantiser: ResidualKMeans):
        self.features = features
        self.quantiser = quantiser
        self.sample_rate = features.sample_rate
        self.label_rate_hz = features.label_rate_hz
        self.codebook_sizes = quantiser.codebook_sizes

    @classmethod
    def load(cls, path: str | Path, make_features: MakeFeatures = frame_features) -> "KMeansTeacher":
        """Read a fitted teacher; ``make_features`` makes its features from the settings in the file.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no teacher, or ``make_features`` cannot make its features.
        """
        quantiser = ResidualKMeans.load(path)
        settings: dict[str, Any] | None = quantiser.metadata.get(FEATURES_KEY)
        if not isinstance(settings, dict):
            raise ValueError(
                f"{path}: found no settings of features, expected those that the teacher was fitted on. Fit the "
                f"teacher again."
            )
        try:
            return cls(make_features(settings), quantiser)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def codes_of_batch(self, tracks: Sequence[Iterable[np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        """Codes of the tracks, one track after the other; see ``CodeTeacher.codes_of_batch``."""
        for index, blocks in enumerate(tracks):
            yield from ((index, codes) for codes in self.codes(blocks))

    def codes(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Codes of one track, piece by piece: (n,) float32 blocks to (frames, Q) uint16."""
        for rows in self.features.stream(blocks):
            yield self.quantiser.encode(rows)
