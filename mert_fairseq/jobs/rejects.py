"""Tables of rejects: each file without a result, with the reason. Nothing is skipped in silence."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from mert_fairseq.files import escape, write_lines

MAX_LISTED = 10


def write_rejects(path: Path, columns: Sequence[str], rows: Iterable[tuple[str, ...]]) -> None:
    """Write a sorted table separated by tabs; control characters and bytes outside UTF-8 are escaped as in Python."""
    lines = ["\t".join(escape(cell) for cell in row) for row in sorted(rows)]
    write_lines(path, ["\t".join(columns), *lines])


def listed(items: Collection[str], separator: str = ", ") -> str:
    """The first items, and the number of others."""
    more = [f"and {len(items) - MAX_LISTED} more"] if len(items) > MAX_LISTED else []
    return separator.join([*list(items)[:MAX_LISTED], *more])
