"""Byte strings and spans of a file, read one after the other as if they were one file."""

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

Part = bytes | range  # bytes as they are, or the bytes of the file with these positions


class SplicedFile(io.RawIOBase):
    """A read-only file that is put together without a copy on disk; it goes to libsndfile in place of a path.

    Attributes:
        path: of the file that the spans are of.
        failure: the first error of the system while reading. libsndfile takes such an error for the end of the file.
    """

    def __init__(self, path: str | Path, parts: Sequence[Part]) -> None:
        """Open ``path``, whose spans are read in the order of ``parts``."""
        super().__init__()
        self.path = Path(path)
        self._file = self.path.open("rb")
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
        """Bytes from the position on, of one part."""
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

    def close(self) -> None:
        self._file.close()
        super().close()
