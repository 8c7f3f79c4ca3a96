"""Scan the rows of a CSV file and report damage by line, row and column.

pandas fills short rows with NaN and reads a truncated file without an error; this scan reports both.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from mert_fairseq.fma.constants import ARCHIVES
from mert_fairseq.fma.schema import EXPECTED, Column, Kind, TableSchema, fits

REMEDY = f"Unpack {ARCHIVES['metadata'].name} again (SHA-1 {ARCHIVES['metadata'].sha1}), or correct the line."


class TableError(ValueError):
    """A metadata file is damaged, truncated, or not the expected table."""


class Row(NamedTuple):
    """One CSV record: the line on which it begins (from 1), its bytes, and its number of cells."""

    line: int
    text: bytes
    cells: int


def parse_row(text: bytes) -> list[str]:
    """Split one CSV record, which may span lines, into cells."""
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
    """Yield the records of a CSV file. Quoted cells may contain line breaks.

    Raises:
        TableError: if the file ends inside a quoted cell or without a line break, or if a line contains binary data.
    """
    pending: list[bytes] = []
    first_line, quotes, line = 1, 0, 0
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            if b"\0" in text:
                raise TableError(f"{path}: line {line} contains zero bytes; the download is damaged. {REMEDY}")
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


def read_header(path: Path, schema: TableSchema) -> tuple[list[Column], list[str]]:
    """Read the column names of a table with stacked headers, and the names of its header levels.

    Raises:
        TableError: if the header does not match ``schema``; names the first missing column.
    """
    wanted = schema.header_rows + schema.index_line
    rows = [parse_row(row.text) for row, _ in zip(scan_rows(path), range(wanted), strict=False)]
    if len(rows) < wanted:
        raise TableError(f"{path}: has {len(rows)} lines, but its header alone has {wanted}. {REMEDY}")
    head = rows[: schema.header_rows]
    if len({len(cells) for cells in head}) > 1:
        counts = ", ".join(str(len(cells)) for cells in head)
        raise TableError(f"{path}: its {schema.header_rows} header lines have {counts} cells. {REMEDY}")
    columns = list(zip(*(cells[1:] for cells in head), strict=True))
    for column in schema.columns:
        if column not in columns:
            raise TableError(
                f"{path}: column {format_column(column)} is missing; found {len(columns)} columns, the published "
                f"{schema.name} has {len(schema.columns)}. {REMEDY}"
            )
    if len(set(columns)) < len(columns):
        twice = next(column for column in columns if columns.count(column) > 1)
        raise TableError(f"{path}: column {format_column(twice)} occurs twice. {REMEDY}")
    index_cells = rows[-1]
    if index_cells[0] != schema.index_name or (schema.index_line and any(index_cells[1:])):
        raise TableError(
            f"{path}: line {wanted} begins with {index_cells[0]!r}; expected the name of the index, "
            f"{schema.index_name!r}{' only' if schema.index_line else ''}. {REMEDY}"
        )
    return columns, [cells[0] for cells in head]


def check_rows(path: Path, schema: TableSchema, columns: list[Column]) -> int:
    """Check that every row has one cell per column, and return the number of rows below the header.

    Raises:
        TableError: if a row is too short or too long, or if there are no rows.
    """
    rows = 0
    for row in _body(path, schema):
        rows += 1
        if row.cells == len(columns) + 1:
            continue
        index = parse_row(row.text)[0] if row.text.strip() else ""
        if row.cells <= len(columns):
            fault = f"the row ends before column {format_column(columns[max(row.cells - 1, 0)])}"
        else:
            fault = f"the row continues after column {format_column(columns[-1])}"
        raise TableError(
            f"{path}: line {row.line}, {schema.index_name} {index}: {fault}; found {row.cells} cells, expected "
            f"{len(columns) + 1}. {REMEDY}"
        )
    if not rows:
        raise TableError(f"{path}: has its header but no rows; it was cut short. {REMEDY}")
    return rows


def raise_for_bad_cell(path: Path, schema: TableSchema, columns: list[Column], kinds: dict[Column, Kind]) -> NoReturn:
    """Find the first invalid cell, row by row, and raise an error that names it.

    Args:
        path: the CSV file.
        schema: its expected structure.
        columns: its columns from :func:`read_header`.
        kinds: the columns to search and their kinds; ``(schema.index_name,)`` is the index.

    Raises:
        TableError: always.
    """
    places = {column: columns.index(column) + 1 for column in kinds if column != (schema.index_name,)}
    places.update({column: 0 for column in kinds if column not in places})
    for row in _body(path, schema):
        cells = parse_row(row.text)
        for column, place in places.items():
            if not fits(kinds[column], cells[place]):
                found = cells[place] if len(cells[place]) <= 60 else cells[place][:57] + "..."
                raise TableError(
                    f"{path}: line {row.line}, {schema.index_name} {cells[0]}, column {format_column(column)}: found "
                    f"{found!r}, expected {EXPECTED[kinds[column]]}. {REMEDY}"
                )
    raise TableError(f"{path}: columns {', '.join(map(format_column, kinds))} cannot be parsed. {REMEDY}")


def _body(path: Path, schema: TableSchema) -> Iterator[Row]:
    rows = scan_rows(path)
    for _ in range(schema.header_rows + schema.index_line):
        next(rows)
    return rows


def format_column(column: Column) -> str:
    """Format a column for messages: ``track/genres``."""
    return "/".join(column)
