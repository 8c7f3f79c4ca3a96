"""The interface of all label readers, readers joined side by side, and labels held in memory."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

MAX_CODE = np.iinfo(np.uint16).max  # in memory and in packed files


class LabelError(ValueError):
    """A label file or dictionary that is missing or wrong; the message says where, what was expected and the remedy."""


class FrameLabels(ABC):
    """The codes of each track of a split, frame by frame.

    Attributes:
        columns: (Q,) label names, such as ``rvq_0``.
        frames: (tracks,) int64, number of codes of each track, the same for all columns.
        source: the file, for messages.
        max_codes: (Q,) largest code of each column; None if finding it means reading the whole file.
    """

    columns: tuple[str, ...]
    frames: np.ndarray
    source: str
    max_codes: list[int] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def codes(self, track: int, first: int = 0, last: int | None = None) -> np.ndarray:
        """Read a track's frames ``first`` to ``last`` (exclusive; None for the end), as (frames, Q) integers.

        Raises:
            LabelError: if the track has fewer codes, or the file holds an invalid code there.
        """
        found = int(self.frames[track])
        last = found if last is None else last
        if not 0 <= first <= last <= found:
            raise LabelError(
                f"{self.where(track)}: found {found} codes, expected codes {first} to {last}. Make the labels again."
            )
        return self._read(track, first, last)

    @abstractmethod
    def where(self, track: int, column: int | None = None) -> str:
        """Where a track's codes are, for messages: a file and a line or row.

        ``column`` None means the column with the fewest codes for the track.
        """

    @abstractmethod
    def _read(self, track: int, first: int, last: int) -> np.ndarray: ...


class JoinedLabels(FrameLabels):
    """Columns of several readers side by side; each track is cut to the shortest of them.

    Teachers may differ by one frame at the end: K-means on conv features makes 374 codes where EnCodec makes 375.
    """

    def __init__(self, parts: Sequence[FrameLabels]) -> None:
        first = parts[0]
        for part in parts[1:]:
            if len(part) != len(first):
                raise LabelError(
                    f"{first.source} and {part.source}: found {len(first)} and {len(part)} tracks, expected "
                    f"equal numbers. Make both from the same manifest."
                )
        self.parts = tuple(parts)
        self.columns = tuple(name for part in parts for name in part.columns)
        self.source = ", ".join(part.source for part in parts)
        self._part_of_column = [part for part in parts for _ in part.columns]
        self.frames = parts[0].frames if len(parts) == 1 else np.min([part.frames for part in parts], axis=0)
        if all(part.max_codes is not None for part in parts):
            self.max_codes = [code for part in parts for code in part.max_codes or []]

    def where(self, track: int, column: int | None = None) -> str:
        part = min(self.parts, key=lambda p: p.frames[track]) if column is None else self._part_of_column[column]
        return part.where(track)

    def _read(self, track: int, first: int, last: int) -> np.ndarray:
        return np.concatenate([part.codes(track, first, last) for part in self.parts], axis=1)


class MemoryLabels(FrameLabels):
    """A copy of other labels in memory, 2 bytes per code, for label files on slow disks.

    Raises:
        LabelError: if a code needs more than 2 bytes.
    """

    def __init__(self, source: FrameLabels) -> None:
        self._source = source
        self.columns, self.frames, self.source = source.columns, source.frames, source.source
        self._offsets = np.concatenate([[0], np.cumsum(self.frames)])
        self._codes = np.empty((int(self._offsets[-1]), len(self.columns)), dtype=np.uint16)
        for track in range(len(source)):
            codes = source.codes(track)
            if codes.max(initial=0) > MAX_CODE:
                raise LabelError(
                    f"{source.where(track)}: found code {codes.max()}, expected {MAX_CODE} at most. Read these labels "
                    f"from their files: task.store_labels=false."
                )
            self._codes[self._offsets[track] : self._offsets[track + 1]] = codes
        self.max_codes = self._codes.max(axis=0).tolist() if len(self._codes) else [0] * len(self.columns)

    def where(self, track: int, column: int | None = None) -> str:
        return self._source.where(track, column)

    def _read(self, track: int, first: int, last: int) -> np.ndarray:
        start = self._offsets[track]
        return self._codes[start + first : start + last]
