"""Writes the features of one file, as frames or as means over time; the .npy file appears when complete."""

import math
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

# Shape letters: N layers, F frames, S means over time, D width.

PARTIAL = ".{}.partial"  # name of an incomplete file


class FileFeatures(ABC):
    """Collects the windows of a file in any order.

    Args:
        path: of the .npy file, in an existing folder.
        frames: F, of the whole file.
    """

    def __init__(self, path: Path, frames: int) -> None:
        self.path = path
        self.frames = frames
        self._missing = frames

    def add(self, first: int, states: np.ndarray) -> bool:
        """Store states (N, f, D) float32 that begin at frame ``first``; returns whether the file is complete."""
        self._store(first, states)
        self._missing -= states.shape[1]
        return self._missing == 0

    @abstractmethod
    def _store(self, first: int, states: np.ndarray) -> None:
        """Store the states of some frames."""

    @abstractmethod
    def finish(self) -> int:
        """Write the rest and rename the file to its final name; returns its rows per layer."""

    def discard(self) -> None:
        """Delete the incomplete file."""
        self._partial.unlink(missing_ok=True)

    @property
    def _partial(self) -> Path:
        return self.path.with_name(PARTIAL.format(self.path.name))


class Frames(FileFeatures):
    """All frames: (N, F, D). Windows are written as they come, so that memory does not grow with the file."""

    def _store(self, first: int, states: np.ndarray) -> None:
        layers, frames, width = states.shape
        if self._missing == self.frames:
            shape = (layers, self.frames, width)
            array = np.lib.format.open_memmap(self._partial, mode="w+", dtype=np.float32, shape=shape)
        else:
            array = np.load(self._partial, mmap_mode="r+")
        array[:, first : first + frames] = states
        array.flush()  # and unmapped when it goes out of scope, so that its pages do not count as memory

    def finish(self) -> int:
        self._partial.replace(self.path)
        return self.frames


class Means(FileFeatures):
    """Means over time: (N, D) for a whole file, or (N, S, D), one per ``frames_per_mean``; the last may cover fewer.

    Args:
        path: of the .npy file.
        frames: F, of the whole file.
        frames_per_mean: frames per mean; None for one mean of the whole file.
    """

    def __init__(self, path: Path, frames: int, frames_per_mean: int | None = None) -> None:
        super().__init__(path, frames)
        self._is_whole = frames_per_mean is None
        self._per_mean = frames_per_mean or frames
        self._sums: np.ndarray | None = None

    def _store(self, first: int, states: np.ndarray) -> None:
        layers, frames, width = states.shape
        if self._sums is None:
            self._sums = np.zeros((layers, math.ceil(self.frames / self._per_mean), width))
        start = first
        while start < first + frames:
            place = start // self._per_mean
            end = min(first + frames, (place + 1) * self._per_mean)
            self._sums[:, place] += states[:, start - first : end - first].sum(axis=1, dtype=np.float64)
            start = end

    def finish(self) -> int:
        assert self._sums is not None
        rows = self._sums.shape[1]
        counts = np.full(rows, self._per_mean)
        counts[-1] = self.frames - (rows - 1) * self._per_mean
        means = (self._sums / counts[:, None]).astype(np.float32)
        with self._partial.open("wb") as file:
            np.save(file, means[:, 0] if self._is_whole else means)
        self._partial.replace(self.path)
        return rows
