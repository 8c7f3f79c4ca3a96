"""Findings of the data check: their codes with meanings, and the report that collects them.

To add a finding, add its code to `MEANINGS` and its row to the table in docs/data.md.
"""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

MEANINGS: dict[str, str] = {
    "no_manifest": "the folder holds no {split}.tsv",
    "manifest_unreadable": "a line is not `path<TAB>samples`, or the sidecar belongs to another manifest",
    "manifest_empty": "no track is listed",
    "no_valid": "there is a train.tsv but nothing to validate on",
    "root_missing": "line 1 names a folder that does not exist",
    "unsafe_name": "a name that fairseq's readers cannot handle",
    "repeated_path": "a track is listed twice in one split",
    "shared_path": "a track is listed in two splits",
    "short_track": "too short for one encoder frame",
    "sidecar_missing": "nothing states the sample rate",
    "sidecar_incomplete": "the sidecar lacks sample_rate or total_seconds",
    "sidecar_seconds": "the sidecar's total is not the sum of the lengths",
    "sidecar_sample_rate": "splits, or the option, differ in their sample rate",
    "audio_missing": "a listed file does not exist",
    "audio_unreadable": "a file cannot be opened, or not decoded to its end",
    "audio_sample_rate": "a file is not at the training rate",
    "audio_length": "a file is longer or shorter than the manifest says",
    "audio_not_finite": "a file holds NaN or infinite samples",
    "audio_silent": "a file holds silence",
    "audio_clipped": "more than a tenth of a file's samples are at full scale",
    "audio_empty": "a file holds no samples",
    "decoder_died": "reading a file killed the process",
    "duplicate_across_splits": "the same audio under two names in two splits",
    "duplicate_within_split": "the same audio under two names in one split",
    "no_labels": "the folder holds no frame labels",
    "labels_missing": "a label that another split has, or that was requested, is missing",
    "labels_unreadable": "a label file is broken",
    "label_tracks": "a label file has more or fewer tracks than the manifest",
    "label_length": "a track has more than 0.1 s of labels too many or too few, or less than half of them",
    "label_rate": "a label file states another rate",
    "label_manifest": "the manifest was changed after the labels were made",
    "label_teacher": "the labels of two splits were made by different teachers",
    "label_sidecar": "the sidecar of labels cannot be read",
    "code_range": "a code that is not in its dictionary",
    "unused_codes": "half of a dictionary or more never occurs",
    "dictionary_missing": "there is no dict.{label}.txt",
    "dictionary_unreadable": "a line of a dictionary is not `code count`",
}


class Level(StrEnum):
    """An error stops or spoils a training run; a warning may be intended."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Options:
    """What to check, and how thoroughly.

    Attributes:
        label_dir: folder of labels and dictionaries; None for the data folder.
        labels: names of the labels to check; None for all labels found.
        sample_rate: of training, in Hz; None for the rate in the sidecars, or else 24,000.
        label_rate_hz: labels per second; None for the rate in the label files or sidecars, or else 75.
        decode: number of tracks per split whose audio is decoded and whose codes are read in full; None for all.
        seed: of the draw of these tracks.
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
    """A kind of fault in a file.

    Attributes:
        check: its code, a key of `MEANINGS`.
        level: error or warning.
        where: the file, with a line or track if there is one; the first of ``count``.
        found: what was found and what was expected.
        remedy: what to do.
        count: number of occurrences.
    """

    check: str
    level: Level
    where: str
    found: str
    remedy: str
    count: int = 1


@dataclass
class Report:
    """The result of a check.

    Attributes:
        folder: the data folder.
        looked_at: (what, how much) was checked, such as ``("train: audio headers", "6400 of 6400")``.
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
        assert finding.check in MEANINGS, f"MEANINGS lacks {finding.check}"
        self.findings.append(finding)

    def record(self, what: str, how_much: str) -> None:
        self.looked_at.append((what, how_much))

    def number_of(self, level: Level) -> int:
        return sum(finding.level is level for finding in self.findings)

    @property
    def passed(self) -> bool:
        """Whether there is no error; warnings do not count."""
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
    """(n,) int64 in ascending order, the tracks that are read in full: all, or a seeded draw."""
    if options.decode is None or options.decode >= tracks:
        return np.arange(tracks)
    return np.sort(np.random.default_rng(options.seed).choice(tracks, options.decode, replace=False))


def first_few(names: list[str], most: int = 3) -> str:
    """The first names and the number of others, for a message."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def without_path(error: Exception, path: Path) -> str:
    """The message of an error without the path, which the finding has already."""
    return str(error).removeprefix(f"{path}: ")
