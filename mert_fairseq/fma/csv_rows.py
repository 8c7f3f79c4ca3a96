"""Rows of a CSV file with their line numbers, so that a damaged file is reported by line, row and column.

pandas fills short rows with NaN and reads a file that was cut in the middle without a word; this scan does not.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from mert_fairseq.fma.card import ARCHIVES
from mert_fairseq.fma.cells import EXPECTED, fits
from mert_fairseq.fma.layout import Column, Kind, Layout

REMEDY = f"Unpack {ARCHIVES['metadata'].name} again (SHA-1 {ARCHIVES['metadata'].sha1}), or mend the line."


class TableError(ValueError):
    """A metadata file is damaged, cut short, or not the table it should be."""


class Row(NamedTuple):
    """One CSV record: the line it begins on (from 1), its bytes, and how many cells it has."""

    line: int
    text: bytes
    cells: int


def parse_row(text: bytes) -> list[str]:
    """Cells of one CSV record, which may span lines."""
    return next(csv.reader(io.StringIO(text.decode("utf-8"), newline=""), strict=True))


def _count_cells(path: Path, line: int, text: bytes) -> int:
    try:
        text.decode("utf-8")
        return len(parse_row(text)) if b'"' in text else text.count(b",") + 1
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path}: line {line} is not UTF-8 text (byte {text[error.start]:#04x} at {error.start}). {REMEDY}"
        ) from error
    except csv.Error as error:
        raise TableError(f"{path}: line {line} is not CSV ({error}). {REMEDY}") from error


def scan_rows(path: Path) -> Iterator[Row]:
    """Yield the records of a CSV file one by one; quoted cells may hold line breaks.

    Raises:
        TableError: if the file ends inside a quoted cell or inside its last line, or if a line holds binary data.
    """
    pending: list[bytes] = []
    first_line, quotes, line = 1, 0, 0
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            if b"\0" in text:
                raise TableError(f"{path}: line {line} holds zero bytes; the download is damaged. {REMEDY}")
            pending.append(text)
            quotes += text.count(b'"')
            if quotes % 2:
                continue
            if not text.endswith(b"\n"):
                raise TableError(f"{path}: ends within line {line}, without a line break; it was cut short. {REMEDY}")
            record = b"".join(pending)
            yield Row(first_line, record, _count_cells(path, first_line, record))
            pending, first_line, quotes = [], line + 1, 0
    if pending:
        raise TableError(
            f"{path}: ends at line {line} inside the quoted cell of the row that begins on line {first_line}; "
            f"it was cut short. {REMEDY}"
        )


def read_header(path: Path, layout: Layout) -> tuple[list[Column], list[str]]:
    """Column names of a table with stacked headers, and the names of its header levels.

    Raises:
        TableError: if the header lines are not those of ``layout``; names the first column that is missing.
    """
    wanted = layout.header_rows + layout.index_line
    rows = [parse_row(row.text) for row, _ in zip(scan_rows(path), range(wanted), strict=False)]
    if len(rows) < wanted:
        raise TableError(f"{path}: has {len(rows)} lines, but its header alone has {wanted}. {REMEDY}")
    head = rows[: layout.header_rows]
    if len({len(cells) for cells in head}) > 1:
        counts = ", ".join(str(len(cells)) for cells in head)
        raise TableError(f"{path}: its {layout.header_rows} header lines have {counts} cells. {REMEDY}")
    columns = list(zip(*(cells[1:] for cells in head), strict=True))
    for column in layout.columns:
        if column not in columns:
            raise TableError(
                f"{path}: column {show(column)} is missing; found {len(columns)} columns, the published "
                f"{layout.name} has {len(layout.columns)}. {REMEDY}"
            )
    if len(set(columns)) < len(columns):
        twice = next(column for column in columns if columns.count(column) > 1)
        raise TableError(f"{path}: column {show(twice)} is there twice. {REMEDY}")
    index_cells = rows[-1]
    if index_cells[0] != layout.index_name or (layout.index_line and any(index_cells[1:])):
        raise TableError(
            f"{path}: line {wanted} begins with {index_cells[0]!r}; expected the name of the index, "
            f"{layout.index_name!r}{', and nothing more' if layout.index_line else ''}. {REMEDY}"
        )
    return columns, [cells[0] for cells in head]


def check_rows(path: Path, layout: Layout, columns: list[Column]) -> int:
    """Check that every row has a cell for every column, and return the number of rows below the header.

    Raises:
        TableError: at the first row that is too short or too long, or if there is no row at all.
    """
    rows = 0
    for row in _body(path, layout):
        rows += 1
        if row.cells == len(columns) + 1:
            continue
        index = parse_row(row.text)[0] if row.text.strip() else ""
        if row.cells <= len(columns):
            fault = f"the row ends before column {show(columns[max(row.cells - 1, 0)])}"
        else:
            fault = f"the row goes on after column {show(columns[-1])}"
        raise TableError(
            f"{path}: line {row.line}, {layout.index_name} {index}: {fault}; found {row.cells} cells, expected "
            f"{len(columns) + 1}. {REMEDY}"
        )
    if not rows:
        raise TableError(f"{path}: has its header but no rows; it was cut short. {REMEDY}")
    return rows


def blame_cell(path: Path, layout: Layout, columns: list[Column], kinds: dict[Column, Kind]) -> NoReturn:
    """Find the first cell, row by row, that does not fit its column, and raise an error that names it.

    Args:
        path: the CSV file.
        layout: its layout.
        columns: its columns as :func:`read_header` gave them.
        kinds: the columns to search and what each holds; ``(layout.index_name,)`` is the index.

    Raises:
        TableError: always.
    """
    places = {column: columns.index(column) + 1 for column in kinds if column != (layout.index_name,)}
    places.update({column: 0 for column in kinds if column not in places})
    for row in _body(path, layout):
        cells = parse_row(row.text)
        for column, place in places.items():
            if not fits(kinds[column], cells[place]):
                found = cells[place] if len(cells[place]) <= 60 else cells[place][:57] + "..."
                raise TableError(
                    f"{path}: line {row.line}, {layout.index_name} {cells[0]}, column {show(column)}: found {found!r}, "
                    f"expected {EXPECTED[kinds[column]]}. {REMEDY}"
                )
    raise TableError(f"{path}: columns {', '.join(map(show, kinds))} do not read as they should. {REMEDY}")


def _body(path: Path, layout: Layout) -> Iterator[Row]:
    rows = scan_rows(path)
    for _ in range(layout.header_rows + layout.index_line):
        next(rows)
    return rows


def show(column: Column) -> str:
    """A column as messages write it: ``track/genres``."""
    return "/".join(column)
