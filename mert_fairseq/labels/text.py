"""Text labels ``{split}.{label}``: one line per track, codes separated by blanks; indexed once, read line by line."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mert_fairseq.files import replacing
from mert_fairseq.labels.reader import FrameLabels, LabelError

BLOCK_BYTES = 1 << 22
NEWLINE = 10
BLANK = 32  # this byte and all smaller ones separate codes


class TextLabels(FrameLabels):
    """One label of a split. Reads the file once to index its lines; keeps only two numbers per track in memory."""

    def __init__(self, path: str | Path, column: str) -> None:
        self.path, self.source = Path(path), str(path)
        self.columns = (column,)
        if not self.path.is_file():
            raise LabelError(
                f"{self.path}: no such label file. Make the labels of this split, or correct task.labels and "
                f"task.label_dir."
            )
        self._starts, self.frames = _index_lines(self.path)

    def where(self, track: int, column: int | None = None) -> str:
        return f"{self.path}:{track + 1}"

    @cached_property
    def _bytes(self) -> np.ndarray:
        return np.memmap(self.path, dtype=np.uint8, mode="r")

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_bytes"}

    def _read(self, track: int, first: int, last: int) -> np.ndarray:
        if first == last:
            return np.empty((0, 1), dtype=np.int64)
        line = np.array(self._bytes[self._starts[track] : self._starts[track + 1]])
        starts = np.flatnonzero(_begins_code(line, after_blank=True))
        end = starts[last] if last < len(starts) else len(line)
        text = line[starts[first] : end].tobytes()
        try:
            codes = np.fromstring(text, dtype=np.int64, sep=" ")
        except ValueError:
            codes = np.empty(0, dtype=np.int64)
        if len(codes) != last - first or codes.min() < 0:
            raise LabelError(
                f"{self.where(track)}: found {_first_invalid(text)!r}, expected non-negative integers separated by "
                f"blanks. Make the labels again."
            )
        return codes[:, None]


class TextWriter:
    """Write ``{split}.{column}`` for each column; the files appear when the ``with`` block succeeds."""

    def __init__(self, label_dir: str | Path, split: str, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self._paths = [Path(label_dir) / f"{split}.{column}" for column in self.columns]

    def __enter__(self) -> "TextWriter":
        self._stack = ExitStack()
        self._files = []
        for path in self._paths:
            partial = self._stack.enter_context(replacing(path))
            self._files.append(self._stack.enter_context(partial.open("w", encoding="ascii", newline="\n")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def append(self, codes: np.ndarray) -> None:
        """Add a track: (frames, Q) integers."""
        for file, column in zip(self._files, np.asarray(codes).T, strict=True):
            file.write(" ".join(map(str, column.tolist())) + "\n")


def _begins_code(text: np.ndarray, after_blank: bool) -> np.ndarray:
    """Mark the bytes where codes begin: non-blank bytes after a blank."""
    blank = text <= BLANK
    before = np.empty_like(blank)
    before[0], before[1:] = after_blank, blank[:-1]
    return before & ~blank


def _first_invalid(text: bytes) -> str:
    return next((word for word in text.decode("latin-1").split() if not (word.isascii() and word.isdigit())), "")


def _index_lines(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Byte offsets of all lines, (lines + 1,), and their numbers of codes, (lines,), both int64, in bounded memory."""
    starts, totals = [np.zeros(1, dtype=np.int64)], [np.zeros(1, dtype=np.int64)]
    position = line_start = codes = 0
    after_blank = True
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            text = np.frombuffer(block, dtype=np.uint8)
            ends = np.flatnonzero(text == NEWLINE)
            counted = np.flatnonzero(_begins_code(text, after_blank))
            starts.append(ends + position + 1)
            totals.append(np.searchsorted(counted, ends) + codes)
            line_start = int(starts[-1][-1]) if len(ends) else line_start
            position, codes, after_blank = position + len(text), codes + len(counted), bool(text[-1] <= BLANK)
    if line_start < position:  # the last line has no line end
        starts.append(np.array([position]))
        totals.append(np.array([codes]))
    return np.concatenate(starts), np.diff(np.concatenate(totals))
