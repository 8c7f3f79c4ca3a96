"""What a check found: one finding a fault and file, with a count, an example and the remedy."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from mert_fairseq.preprocessing.checks.finding_codes import MEANINGS


class Level(StrEnum):
    """An error will stop or spoil a training; a warning may be meant."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Options:
    """What to check, and how deep.

    Attributes:
        label_dir: folder of labels and dictionaries; None for the data folder.
        labels: names of the labels to check; None for all that are found.
        sample_rate: of training, in Hz; None for what the sidecars say, or else 24,000.
        label_rate_hz: labels a second; None for what the label files say, or else 75.
        decode: tracks of each split whose audio is decoded and whose codes are read in full; None for all.
        seed: of the choice of these tracks.
        workers: processes that read audio.
    """

    label_dir: Path | None = None
    labels: tuple[str, ...] | None = None
    sample_rate: int | None = None
    label_rate_hz: float | None = None
    decode: int | None = 100
    seed: int = 0
    workers: int = 1


@dataclass(frozen=True)
class Finding:
    """One kind of fault in one file.

    Attributes:
        check: its word, such as ``label_length``; words.py lists them all.
        level: error or warning.
        where: the file, with a line or track where that helps; the first of ``count``.
        found: what is there, and what was expected.
        remedy: what to do.
        count: how often it occurs there.
    """

    check: str
    level: Level
    where: str
    found: str
    remedy: str
    count: int = 1


@dataclass
class Report:
    """The outcome: what was looked at, line by line, and what was found.

    Attributes:
        folder: that was checked.
        looked_at: (what, how much), such as ``("train: audio headers", "6400 of 6400")``.
        findings: in the order of the checks.
    """

    folder: Path
    looked_at: list[tuple[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def error(self, check: str, where: object, found: str, remedy: str, count: int = 1) -> None:
        self._add(Finding(check, Level.ERROR, str(where), found, remedy, count))

    def warn(self, check: str, where: object, found: str, remedy: str, count: int = 1) -> None:
        self._add(Finding(check, Level.WARNING, str(where), found, remedy, count))

    def _add(self, finding: Finding) -> None:
        assert finding.check in MEANINGS, f"checks/words.py lacks {finding.check}"
        self.findings.append(finding)

    def saw(self, what: str, how_much: str) -> None:
        self.looked_at.append((what, how_much))

    def number_of(self, level: Level) -> int:
        return sum(finding.level is level for finding in self.findings)

    @property
    def passed(self) -> bool:
        """No error; warnings do not count."""
        return self.number_of(Level.ERROR) == 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "folder": str(self.folder),
            "passed": self.passed,
            "looked_at": [{"what": what, "how_much": how_much} for what, how_much in self.looked_at],
            "findings": [asdict(finding) for finding in self.findings],
        }


def drawn_tracks(tracks: int, options: Options) -> np.ndarray:
    """(n,) int64, the tracks that are read in full: all, or a seeded draw, in order."""
    if options.decode is None or options.decode >= tracks:
        return np.arange(tracks)
    return np.sort(np.random.default_rng(options.seed).choice(tracks, options.decode, replace=False))


def some(names: list[str], most: int = 3) -> str:
    """The first few names, for a message."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def without_path(error: Exception, path: Path) -> str:
    """What an error says, less the path that a finding names already."""
    return str(error).removeprefix(f"{path}: ")
