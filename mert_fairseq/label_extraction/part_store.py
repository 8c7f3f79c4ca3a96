"""What a shard has labelled so far: codes end to end in one file, and a journal that says whose they are.

``shard-{i}-of-{n}.codes``    uint16, the tracks in the order in which they were finished
``shard-{i}-of-{n}.journal``  whose codes they are (labelling/journal.py)
``shard-{i}-of-{n}.lock``     held by the process that writes

A process killed at any moment leaves at most codes without a journal line, or half a line: both are cut off when the
shard is opened again. Codes that do not have their line's checksum (a power cut) are dropped and made again.
"""

import errno
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from mert_fairseq.jobs.locks import FileLock
from mert_fairseq.label_extraction.label_job import LabelJobError
from mert_fairseq.label_extraction.part_journal import Entry, journal_header, read_journal
from mert_fairseq.label_extraction.parts import Shard

CODE_BYTES = 2
PART_PATTERN = re.compile(r"shard-(\d+)-of-(\d+)\.(codes|journal|lock)")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ShardStore:
    """A shard's files, opened to write; holds their lock."""

    def __init__(self, folder: Path, shard: Shard, teacher: dict[str, Any], codebooks: int):
        """Name the files.

        Args:
            folder: made if need be.
            shard: which.
            teacher: its identity; a journal that was begun with another is refused.
            codebooks: Q.
        """
        self.base = shard_base(folder, shard)
        self.codebooks = codebooks
        self._header = journal_header(teacher, shard)
        self._lock = part_lock(folder, shard)
        self.entries: dict[str, Entry] = {}

    def __enter__(self) -> "ShardStore":
        self.base.parent.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        try:
            self._codes: BinaryIO = open_unbuffered(self.base.with_suffix(".codes"))
            self._journal: BinaryIO = open_unbuffered(self.base.with_suffix(".journal"))
            self._resume()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._codes, self._journal):
            os.fsync(file.fileno())
            file.close()
        self._lock.release()

    def _resume(self) -> None:
        """Take what an earlier run left whole; cut off the rest."""
        self.entries, journal_bytes = read_journal(self.base.with_suffix(".journal"), self._header)
        if journal_bytes == 0:
            self._journal_end = self._codes_end = 0
            self._append_line(self._header)
        else:
            self._journal_end = journal_bytes
            self._journal.truncate(journal_bytes)
        self._codes_end = 0
        for entry in list(self.entries.values()):
            if entry.refused or read_codes(self._codes, entry, self.codebooks) is None:
                del self.entries[entry.track]  # tried again
            else:
                self._codes_end = max(self._codes_end, entry.offset + entry.frames * self.codebooks * CODE_BYTES)
        self._codes.truncate(self._codes_end)

    def add(self, track: str, codes: np.ndarray) -> None:
        """Keep a track's codes; they survive a kill from here on.

        Args:
            track: its line of the manifest.
            codes: (frames, Q) uint16.

        Raises:
            LabelJobError: if the disk is full; what was kept before stays whole.
        """
        data = np.ascontiguousarray(codes, dtype="<u2").tobytes()
        entry = Entry(track, self._codes_end, len(codes), zlib.crc32(data))
        self._codes_end = self._write(self._codes, self._codes_end, data)
        self._keep(entry)

    def refuse(self, track: str, reason: str) -> None:
        """Note why a track has no codes."""
        self._keep(Entry(track, refused=reason))

    def _keep(self, entry: Entry) -> None:
        self._append_line(entry.line())
        self.entries[entry.track] = entry

    def _append_line(self, line: str) -> None:
        self._journal_end = self._write(self._journal, self._journal_end, line.encode() + b"\n")

    def _write(self, file: BinaryIO, end: int, data: bytes) -> int:
        """Write all of ``data`` at ``end`` or nothing; gives the new end."""
        view = memoryview(data)
        place = end
        try:
            while len(view):
                written = os.pwrite(file.fileno(), view, place)
                view, place = view[written:], place + written
        except OSError as error:
            file.truncate(end)
            if error.errno in FULL:
                suffix = ".codes" if file is self._codes else ".journal"
                raise disk_full(self.base.with_suffix(suffix), error) from error
            raise
        return place


def disk_full(path: Path, error: OSError) -> LabelJobError:
    """The message for a write that found no room."""
    return LabelJobError(
        f"{path}: no room to write ({os.strerror(error.errno or 0)}). Nothing is half-written: free some space, then "
        f"give the same command again; it goes on where it stopped."
    )


def open_unbuffered(path: Path) -> BinaryIO:
    """Open to read and write without emptying; every write is the system's own, so a kill loses nothing written."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)


def read_codes(file: BinaryIO, entry: Entry, codebooks: int) -> np.ndarray | None:
    """(frames, Q) uint16 of a track, or None if what is stored lacks the entry's checksum."""
    size = entry.frames * codebooks * CODE_BYTES
    data = os.pread(file.fileno(), size, entry.offset)
    if len(data) != size or zlib.crc32(data) != entry.checksum:
        return None
    return np.frombuffer(data, dtype="<u2").reshape(entry.frames, codebooks)


def shard_base(folder: Path, shard: Shard) -> Path:
    """A shard's files without their suffixes."""
    return folder / f"shard-{shard.index}-of-{shard.count}"


def part_lock(folder: Path, shard: Shard) -> FileLock:
    """The lock of the process that writes, or merges, a part."""
    return FileLock(shard_base(folder, shard).with_suffix(".lock"), "Wait for it to end; what it finishes is kept.")


def shards_in(folder: Path) -> Iterator[Shard]:
    """The shards of which there are journals.

    Raises:
        LabelJobError: if a file there is of no shard.
    """
    for path in sorted(folder.iterdir()):
        match = PART_PATTERN.fullmatch(path.name)
        if not match:
            raise LabelJobError(f"{path}: belongs to no shard. Remove it.")
        if match[3] == "journal":
            yield Shard(int(match[1]), int(match[2]))
