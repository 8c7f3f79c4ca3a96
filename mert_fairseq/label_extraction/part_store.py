"""The finished tracks of a part: their codes end to end in one file, and the journal that says where each is.

``shard-{i}-of-{n}.codes``    uint16, tracks in the order in which they finished
``shard-{i}-of-{n}.journal``  one line per track (see ``part_journal``)
``shard-{i}-of-{n}.lock``     held by the process that writes

A process that is killed leaves at most some codes without a journal line, or half a line. Both are removed when the
part is opened again. Codes that do not match the checksum in the journal (after a power failure) are made again.
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
from mert_fairseq.label_extraction.part_journal import JournalEntry, Part, journal_header, read_journal

CODE_BYTES = 2
PART_FILE = re.compile(r"shard-(\d+)-of-(\d+)\.(codes|journal|lock)")
DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class PartStore:
    """The files of a part, open for writing; holds their lock.

    Args:
        folder: of the part files; created if needed.
        part: which part.
        teacher: ``LabelJob.teacher_identity``; a journal of another teacher is an error.
        codebooks: Q.

    Attributes:
        entries: journal entries of the finished tracks.
    """

    def __init__(self, folder: Path, part: Part, teacher: dict[str, Any], codebooks: int):
        self.base = part_base(folder, part)
        self.codebooks = codebooks
        self._header = journal_header(teacher, part)
        self._lock = part_lock(folder, part)
        self.entries: dict[str, JournalEntry] = {}

    def __enter__(self) -> "PartStore":
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
        """Keep the complete tracks of earlier runs; remove the rest."""
        self.entries, journal_bytes = read_journal(self.base.with_suffix(".journal"), self._header)
        if journal_bytes == 0:
            self._journal_end = self._codes_end = 0
            self._append_line(self._header)
        else:
            self._journal_end = journal_bytes
            self._journal.truncate(journal_bytes)
        self._codes_end = 0
        for entry in list(self.entries.values()):
            if entry.reject_reason or read_codes(self._codes, entry, self.codebooks) is None:
                del self.entries[entry.track]  # will be tried again
            else:
                self._codes_end = max(self._codes_end, entry.offset + entry.frames * self.codebooks * CODE_BYTES)
        self._codes.truncate(self._codes_end)

    def add(self, track: str, codes: np.ndarray) -> None:
        """Store a track's codes. When this returns, a kill no longer loses them.

        Args:
            track: its line of the manifest.
            codes: (frames, Q) uint16.

        Raises:
            LabelJobError: if the disk is full; tracks stored before stay intact.
        """
        data = np.ascontiguousarray(codes, dtype="<u2").tobytes()
        entry = JournalEntry(track, self._codes_end, len(codes), zlib.crc32(data))
        self._codes_end = self._write(self._codes, self._codes_end, data)
        self._add_entry(entry)

    def reject(self, track: str, reason: str) -> None:
        """Record why a track has no codes."""
        self._add_entry(JournalEntry(track, reject_reason=reason))

    def _add_entry(self, entry: JournalEntry) -> None:
        self._append_line(entry.line())
        self.entries[entry.track] = entry

    def _append_line(self, line: str) -> None:
        self._journal_end = self._write(self._journal, self._journal_end, line.encode() + b"\n")

    def _write(self, file: BinaryIO, end: int, data: bytes) -> int:
        """Write all of ``data`` at ``end``, or nothing; returns the new end."""
        view = memoryview(data)
        position = end
        try:
            while len(view):
                written = os.pwrite(file.fileno(), view, position)
                view, position = view[written:], position + written
        except OSError as error:
            file.truncate(end)
            if error.errno in DISK_FULL_ERRORS:
                suffix = ".codes" if file is self._codes else ".journal"
                raise disk_full_error(self.base.with_suffix(suffix), error) from error
            raise
        return position


def disk_full_error(path: Path, error: OSError) -> LabelJobError:
    """The error for a write that found the disk full."""
    return LabelJobError(
        f"{path}: no room to write ({os.strerror(error.errno or 0)}). No file is half-written: free some space, then "
        f"run the same command again; it continues where it stopped."
    )


def open_unbuffered(path: Path) -> BinaryIO:
    """Open for reading and writing, without truncating or buffering, so that a kill loses nothing already written."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)


def read_codes(file: BinaryIO, entry: JournalEntry, codebooks: int) -> np.ndarray | None:
    """Read a track's codes, (frames, Q) uint16; None if they do not match the entry's checksum."""
    size = entry.frames * codebooks * CODE_BYTES
    data = os.pread(file.fileno(), size, entry.offset)
    if len(data) != size or zlib.crc32(data) != entry.checksum:
        return None
    return np.frombuffer(data, dtype="<u2").reshape(entry.frames, codebooks)


def part_base(folder: Path, part: Part) -> Path:
    """The path of a part's files without suffix."""
    return folder / f"shard-{part.index}-of-{part.count}"


def part_lock(folder: Path, part: Part) -> FileLock:
    """The lock of the process that writes, or merges, a part."""
    return FileLock(part_base(folder, part).with_suffix(".lock"), "Wait for it to end; what it finishes is kept.")


def parts_in(folder: Path) -> Iterator[Part]:
    """Yield the parts that have a journal in a folder.

    Raises:
        LabelJobError: if the folder holds a file that belongs to no part.
    """
    for path in sorted(folder.iterdir()):
        match = PART_FILE.fullmatch(path.name)
        if not match:
            raise LabelJobError(f"{path}: found a file that belongs to no part of the job. Remove it.")
        if match[3] == "journal":
            yield Part(int(match[1]), int(match[2]))
