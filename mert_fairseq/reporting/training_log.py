"""Read fairseq's JSON training log (``common.log_format=json``) as curves over updates; resumed runs are joined.

fairseq writes three kinds of records among its other lines: ``train_inner`` every ``log_interval`` updates, ``train``
at the end of each epoch (keys prefixed ``train_``), and one record per validation, named after the subset (``valid``,
keys prefixed ``valid_``). Values are strings.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

INNER = "train_inner"
UPDATES_KEY = "num_updates"


class Record(NamedTuple):
    """One line of the log: kind (``train_inner``, ``train``, ``valid``), update number, values by bare name."""

    kind: str
    update: int
    values: dict[str, float]


class Curve(NamedTuple):
    """One quantity over training: (N,) ascending update numbers and (N,) values."""

    updates: np.ndarray
    values: np.ndarray


def parse_line(line: str) -> Record | None:
    """Parse one log line. Returns None for other messages and for a truncated line."""
    _, brace, tail = line.partition("{")
    try:
        raw = json.loads(brace + tail)
    except json.JSONDecodeError:
        return None
    counters = [key for key in raw if key.endswith(UPDATES_KEY)] if isinstance(raw, dict) else []
    if not counters:
        return None
    prefix = counters[0].removesuffix(UPDATES_KEY)
    values = {key.removeprefix(prefix): number for key, value in raw.items() if (number := _number(value)) is not None}
    return Record(prefix.rstrip("_") or INNER, int(values[UPDATES_KEY]), values)


def _number(value: str | float) -> float | None:
    """The value as a float; None if it is not a number (``"None"``)."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


class TrainingLog:
    """The records of a training, from one or more runs."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records

    @classmethod
    def read(cls, *paths: str | Path) -> "TrainingLog":
        """Read log files, in the order in which they were written.

        If a resumed run starts before the last logged update, the later records of the killed run are dropped.

        Raises:
            ValueError: if no file contains a record.
        """
        kept: list[Record] = []
        latest: dict[str, int] = {}
        for path in paths:
            with Path(path).open(encoding="utf-8", errors="replace") as lines:
                for record in filter(None, map(parse_line, lines)):
                    if record.update <= latest.get(record.kind, -1):
                        kept = [old for old in kept if old.kind != record.kind or old.update < record.update]
                    latest[record.kind] = record.update
                    kept.append(record)
        if not kept:
            raise ValueError(
                f"{', '.join(map(str, paths))}: no training record found. Expected lines with JSON such as "
                f'{{"epoch": 1, "loss": "5.2", "num_updates": "50"}}; train with common.log_format=json, and look at '
                f"the end of the log for the error if the training stopped before common.log_interval updates."
            )
        return cls(kept)

    @property
    def last_update(self) -> int:
        """The highest update number of all records."""
        return max(record.update for record in self.records)

    def kinds(self) -> list[str]:
        """The kinds of records in the log, sorted."""
        return sorted({record.kind for record in self.records})

    def keys(self, kind: str = INNER) -> list[str]:
        """Names of the quantities in records of this kind, sorted."""
        return sorted({key for record in self.records if record.kind == kind for key in record.values})

    def curve(self, key: str, kind: str = INNER) -> Curve:
        """One quantity over training, from the records that have it.

        Raises:
            KeyError: if no record of this kind has it; lists the existing ones.
        """
        found = [(r.update, r.values[key]) for r in self.records if r.kind == kind and key in r.values]
        if not found:
            raise KeyError(f"the log has no {key!r} in {kind!r} records; it has {', '.join(self.keys(kind)) or 'none'}")
        updates, values = zip(*found, strict=True)
        return Curve(np.array(updates), np.array(values))
