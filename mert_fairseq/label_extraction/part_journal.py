"""A shard's journal: line 1 says what the codes depend on, then one line a track, whose codes are whole by then.

A track is known by its line of the manifest, path and length, so that its codes serve any manifest that lists it.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from mert_fairseq.label_extraction.label_job import LabelJobError
from mert_fairseq.label_extraction.parts import Shard

FORMAT = {"format": "mert_fairseq label journal", "version": 2}


class Entry(NamedTuple):
    """A track's place in the codes, or why it has none."""

    track: str  # its line of the manifest
    offset: int = 0  # in bytes
    frames: int = 0
    checksum: int = 0
    refused: str = ""

    def line(self) -> str:
        """What ``read_entry`` reads."""
        return json.dumps([self.track, self.refused] if self.refused else self[:4])


def journal_header(teacher: dict[str, Any], shard: Shard) -> str:
    """Line 1 of a shard's journal; ``teacher`` is its identity."""
    return json.dumps({**FORMAT, "shard": str(shard), "teacher": teacher}, sort_keys=True)


def read_journal(path: Path, header: str) -> tuple[dict[str, Entry], int]:
    """Entries by track, the last one of each, and how many bytes of the file are whole lines.

    Lines that are none (a power cut can leave a stretch of zeros) are passed over: their tracks are labelled again.

    Raises:
        LabelJobError: if the journal belongs to another job.
    """
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    first, *lines = whole.split(b"\n")
    if whole and first != header.encode():
        raise LabelJobError(
            f"{path}: was begun with other settings: {differing(first, header)}. Finish that job with its own "
            f"command, or delete {path.parent} to start afresh."
        )
    entries = {entry.track: entry for line in lines if (entry := read_entry(line))}
    return entries, len(whole)


def read_entry(line: bytes) -> Entry | None:
    """The entry of a line, or None if it is none."""
    try:
        values = json.loads(line)
    except ValueError:
        return None
    match values:
        case [str(track), str(reason)]:
            return Entry(track, refused=reason)
        case [str(track), int(offset), int(frames), int(checksum)]:
            return Entry(track, offset, frames, checksum)
    return None


def differing(found: bytes, expected: str) -> str:
    """Which settings of two headers differ, and how."""
    try:
        old, new = json.loads(found), json.loads(expected)
        if {key: old.get(key) for key in FORMAT} != FORMAT:
            return "by another version of mert_fairseq, whose codes cannot be told apart by track"
        if old["shard"] != new["shard"]:
            return f"shard {old['shard']} instead of {new['shard']}"
        teachers = old["teacher"], new["teacher"]
        pairs = {key: tuple(teacher.get(key) for teacher in teachers) for key in sorted({**teachers[0], **teachers[1]})}
        changed = [f"{key} {a} instead of {b}" for key, (a, b) in pairs.items() if a != b and key != "about"]
        return "; ".join(changed) or "the teacher's description"
    except (ValueError, KeyError, TypeError, AttributeError):
        return "it cannot be read"
