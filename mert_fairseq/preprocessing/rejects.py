"""rejects.tsv: every file that did not become a track, with its reason; nothing is dropped in silence."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mert_fairseq.jobs import rejects as tables
from mert_fairseq.preprocessing.integrity.reasons import REMEDIES, Reason

REJECTS_FILE = "rejects.tsv"
COLUMNS = ("path", "reason", "detail")


class Reject(NamedTuple):
    """A file or folder left out: its path relative to the audio folder, a word of the vocabulary, what was found."""

    path: str
    reason: Reason
    detail: str


class NoTracksError(ValueError):
    """A folder from which no track can be taken: the message counts why."""

    @classmethod
    def of(cls, audio_dir: Path, rejects: Iterable[Reject], table: str, expected: str = "") -> "NoTracksError":
        """Of a folder all of whose files were refused, as ``table`` lists them; ``expected``: what should be there."""
        counts = Counter(reject.reason for reject in rejects)
        found = ", ".join(f"{count} {reason} ({REMEDIES[reason]})" for reason, count in counts.most_common())
        return cls(f"{audio_dir}: no track is left: {found or 'it holds no audio'}. {expected}See {table}.")


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """Write rejects.tsv, sorted by path."""
    tables.write_rejects(path, COLUMNS, rejects)
