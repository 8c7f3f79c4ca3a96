"""A read-only file made of byte strings and spans of another file, without a copy on disk."""

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, BinaryIO

Part = bytes | range  # bytes as they are, or positions of bytes in the file


def size_of(file: BinaryIO) -> int:
    """Bytes in an open file; the position moves to its end."""
    return file.seek(0, os.SEEK_END)


class SplicedFile(io.RawIOBase):
    """Parts in sequence, read as one file; libsndfile opens it in place of a path.

    Args:
        file: the file that the spans refer to. It moves while this is read, and stays open when this is closed.
        parts: in the order in which they are read.

    Attributes:
        failure: the first OSError while reading. libsndfile takes such an error for the end of the file.
    """

    def __init__(self, file: BinaryIO, parts: Sequence[Part]) -> None:
        super().__init__()
        self._file = file
        self._parts = [part for part in parts if len(part)]
        self._ends = list(accumulate(len(part) for part in self._parts))
        self._position = 0
        self.failure: OSError | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = self._ends[-1] if self._ends else 0
        self._position = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: size}[whence])
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Fill ``buffer`` across parts; returns fewer bytes only at the end, or after a failure."""
        target = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(target) and (chunk := self._chunk(len(target) - filled)):
            target[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
            self._position += len(chunk)
        return filled

    def _chunk(self, most: int) -> bytes:
        """Up to ``most`` bytes from the current position, all from one part."""
        number = bisect_right(self._ends, self._position)
        if number == len(self._parts):
            return b""
        part = self._parts[number]
        begin = self._position - (self._ends[number] - len(part))
        wanted = part[begin : begin + most]
        if isinstance(wanted, bytes):
            return wanted
        try:
            self._file.seek(wanted.start)
            return self._file.read(len(wanted))
        except OSError as error:
            self.failure = self.failure or error
            return b""
