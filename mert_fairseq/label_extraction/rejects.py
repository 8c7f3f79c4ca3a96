"""Tracks that have no codes: a table of them beside the labels, and the error that says what to do."""

from collections.abc import Collection, Mapping
from pathlib import Path

from mert_fairseq.files import write_lines
from mert_fairseq.label_extraction.label_job import LabelJobError
from mert_fairseq.preprocessing.safe_names import escape

MAX_LISTED = 10


def write_rejects(path: Path, reasons: Mapping[str, str]) -> None:
    """Write a line "path<TAB>reason" a track, sorted, with the escapes of make_manifest.py's rejects.tsv."""
    write_lines(path, ["path\treason", *(f"{escape(track)}\t{escape(why)}" for track, why in sorted(reasons.items()))])


def tracks_refused(where: object, reasons: Collection[str]) -> LabelJobError:
    """The error for tracks without codes."""
    return LabelJobError(
        f"{where}: {len(reasons)} tracks have no codes:\n  {listed(reasons, chr(10) + '  ')}\n"
        f"Mend the files, or move them away and make the manifest again; then give the same command: the codes of the "
        f"other tracks are kept."
    )


def listed(items: Collection[str], separator: str = ", ") -> str:
    """The first few, and how many more there are."""
    more = [f"and {len(items) - MAX_LISTED} more"] if len(items) > MAX_LISTED else []
    return separator.join([*list(items)[:MAX_LISTED], *more])
