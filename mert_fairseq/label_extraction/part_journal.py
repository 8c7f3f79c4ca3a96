"""Parts of a label job, and the journal of each part.

A part is one of n slices of a manifest. Its journal has a header line with everything that the codes depend on, then
one line per track. A track's line is written after its codes. Tracks are identified by their manifest line (path and
length), so the codes stay valid for any manifest that lists the same file.

File names and options say "shard" where this code says "part" (``shard-0-of-2.journal``, ``--shard 0/2``): journals of
earlier versions stay readable, and existing scripts keep working.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mert_fairseq.label_extraction.label_job import LabelJobError

FORMAT = {"format": "mert_fairseq label journal", "version": 2}


@dataclass(frozen=True, order=True)
class Part:
    """Part number ``index``, from 0, of ``count`` parts of about equal length in samples."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Read ``i/n``.

        Raises:
            ValueError: if the form differs, or i is not below n.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if not match or int(match[1]) >= int(match[2]):
            raise ValueError(f"found {text}, expected i/n with i from 0 to n - 1, such as 0/4, 1/4, 2/4 and 3/4.")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def tracks(self, samples: np.ndarray) -> range:
        """Return the tracks whose middle is in this part; every track is in exactly one part.

        Args:
            samples: (tracks,) lengths.
        """
        ends = np.cumsum(samples, dtype=np.float64)
        middles = ends - samples / 2
        total = ends[-1] if len(ends) else 0.0
        bounds = np.searchsorted(middles, [total * self.index / self.count, total * (self.index + 1) / self.count])
        return range(int(bounds[0]), len(samples) if self.index == self.count - 1 else int(bounds[1]))


class JournalEntry(NamedTuple):
    """Where a track's codes are stored, or why it was rejected."""

    track: str  # its line of the manifest
    offset: int = 0  # in bytes
    frames: int = 0
    checksum: int = 0
    reject_reason: str = ""

    def line(self) -> str:
        """The journal line, as ``parse_entry`` reads it."""
        return json.dumps([self.track, self.reject_reason] if self.reject_reason else self[:4])


def journal_header(teacher: dict[str, Any], part: Part) -> str:
    """The first line of a part's journal; ``teacher`` is ``LabelJob.teacher_identity``."""
    return json.dumps({**FORMAT, "shard": str(part), "teacher": teacher}, sort_keys=True)


def read_journal(path: Path, header: str) -> tuple[dict[str, JournalEntry], int]:
    """Read the latest entry of each track, and the number of bytes in complete lines.

    Corrupt lines are skipped (a power failure can leave a block of zeros): their tracks are labelled again.

    Raises:
        LabelJobError: if the journal belongs to another job.
    """
    data = path.read_bytes()
    complete = data[: data.rfind(b"\n") + 1]
    first, *lines = complete.split(b"\n")
    if complete and first != header.encode():
        raise LabelJobError(
            f"{path}: was started with other settings: {describe_difference(first, header)}. Finish that job with its "
            f"own command, or delete {path.parent} to start again."
        )
    entries = {entry.track: entry for line in lines if (entry := parse_entry(line))}
    return entries, len(complete)


def parse_entry(line: bytes) -> JournalEntry | None:
    """Return the entry of a journal line, or None if the line is corrupt."""
    try:
        values = json.loads(line)
    except ValueError:
        return None
    match values:
        case [str(track), str(reason)]:
            return JournalEntry(track, reject_reason=reason)
        case [str(track), int(offset), int(frames), int(checksum)]:
            return JournalEntry(track, offset, frames, checksum)
    return None


def describe_difference(found: bytes, expected: str) -> str:
    """Say which settings of two journal headers differ, and how."""
    try:
        old, new = json.loads(found), json.loads(expected)
        if {key: old.get(key) for key in FORMAT} != FORMAT:
            return "a journal of another version of mert_fairseq, which cannot tell codes apart by track"
        if old["shard"] != new["shard"]:
            return f"part {old['shard']} instead of {new['shard']}"
        teachers = old["teacher"], new["teacher"]
        pairs = {key: tuple(teacher.get(key) for teacher in teachers) for key in sorted({**teachers[0], **teachers[1]})}
        changed = [f"{key} {a} instead of {b}" for key, (a, b) in pairs.items() if a != b and key != "about"]
        return "; ".join(changed) or "the teacher's description"
    except (ValueError, KeyError, TypeError, AttributeError):
        return "its header cannot be read"
