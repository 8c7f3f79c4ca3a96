"""The journal of extracted files, which survives a kill, and the index for users.

``extract.jsonl`` starts with the settings that features depend on; then it has one line per file with features.
``index.tsv`` lists the same at the end of a run, ``rejects.tsv`` the files without features.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from mert_fairseq.files import escape, write_lines
from mert_fairseq.preprocessing.scan import Source

JOURNAL_FILE = "extract.jsonl"
INDEX_FILE = "index.tsv"
INDEX_COLUMNS = ("file", "features", "seconds", "frames", "rate", "layers", "digest")
VERSION = 1  # of the line format


@dataclass(frozen=True)
class Entry:
    """A file whose features are on the disk.

    Attributes:
        source: the audio file, with its size and time of change.
        seconds: of audio.
        frames: rows per layer in its features: frames, or means.
    """

    source: Source
    seconds: float
    frames: int

    def to_json(self) -> str:
        """One line of ASCII."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, line: str) -> "Entry":
        """Undo ``to_json``; raises ValueError, KeyError or TypeError on anything else."""
        values = json.loads(line)
        return cls(Source(**values.pop("source")), **values)


class Journal:
    """An append-only file of entries; the caller holds a lock on the folder.

    Args:
        path: of the file; created if it does not exist.
        header: the settings that features depend on, as JSON values.

    Raises:
        ValueError: if the file has another header; the message says what differs.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self._header = json.dumps({"version": VERSION, **header}, sort_keys=True)
        self._file: IO[str] = path.open("a+", encoding="ascii", newline="\n")
        self.entries: dict[str, Entry] = {}
        try:
            self._read(path)
        except BaseException:
            self._file.close()
            raise

    def _read(self, path: Path) -> None:
        self._file.seek(0)
        first, *lines = self._file.read().split("\n")
        if not lines:  # new, or its first line is torn
            self._file.truncate(0)
            self._write(self._header)
            return
        if first != self._header:
            raise ValueError(
                f"{path.parent}: holds features made with {differences(first, self._header)}. Give another --out, or "
                f"delete the folder."
            )
        for line in lines:
            try:
                entry = Entry.from_json(line)
            except (ValueError, KeyError, TypeError):
                continue  # a torn line: its file is read again
            self.entries[entry.source.path] = entry
        if lines[-1]:
            self._file.write("\n")

    def add(self, entry: Entry) -> None:
        """Record a file; the entry survives a kill."""
        self.entries[entry.source.path] = entry
        self._write(entry.to_json())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: str) -> None:
        self._file.write(line + "\n")
        self._file.flush()


def differences(found: str, expected: str) -> str:
    """What differs between two headers, such as ``layers [7] instead of [0, 6]``."""
    try:
        old, new = json.loads(found), json.loads(expected)
        pairs = {name: (old.get(name), new.get(name)) for name in sorted({**old, **new})}
    except (ValueError, AttributeError, TypeError):
        return "settings that cannot be read"
    return ", ".join(f"{name} {a} instead of {b}" for name, (a, b) in pairs.items() if a != b)


def write_index(
    path: Path, entries: Iterable[Entry], features: dict[str, str], rate: str, layers: Sequence[int], digest: str
) -> None:
    """Write the table of all features.

    Args:
        path: of the table.
        entries: of the files.
        features: by file, where its features are: a path relative to the table, or a name in the collection.
        rate: rows per second, or ``file`` for one mean per file.
        layers: along the first axis.
        digest: of the model's weights.
    """
    stated = (rate, ",".join(map(str, layers)), digest)
    lines = ["\t".join(INDEX_COLUMNS)]
    for entry in sorted(entries, key=lambda entry: entry.source.path):
        name = entry.source.path
        cells = (escape(name), escape(features[name]), f"{entry.seconds:.3f}", str(entry.frames), *stated)
        lines.append("\t".join(cells))
    write_lines(path, lines)
