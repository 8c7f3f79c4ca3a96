"""Read the four metadata tables as data frames with typed columns. Errors name file, line, row and column."""

from pathlib import Path

import numpy as np
import pandas as pd

from mert_fairseq.fma import csv_rows
from mert_fairseq.fma.constants import ARCHIVES, PUBLISHED_SHAPES
from mert_fairseq.fma.schema import ECHONEST, FEATURE_TABLE, GENRES, TRACKS, Column, Kind, TableSchema, convert


def load_tracks(path: Path | str) -> pd.DataFrame:
    """Read tracks.csv.

    Returns:
        One row per track, index ``track_id`` (int64), columns of two levels such as ``("track", "genre_top")``. Genres
        and tags are lists, dates datetime64[s], ``("set", "subset")`` is ordered (small < medium < large), so that
        ``tracks["set", "subset"] <= "medium"`` selects the medium set.

    Raises:
        TableError: if the file is damaged or is another table; names file, line, track and column.
        FileNotFoundError: if the file is missing; says where to get it.
    """
    return _load(Path(path), TRACKS)


def load_genres(path: Path | str) -> pd.DataFrame:
    """Read genres.csv: index ``genre_id``; columns ``#tracks``, ``parent`` (0 for a root), ``title``, ``top_level``."""
    table = _load(Path(path), GENRES)
    table.columns = pd.Index([name for (name,) in table.columns])
    return table


def load_features(path: Path | str) -> pd.DataFrame:
    """Read features.csv: (tracks, 518) float64; columns by feature, statistics and number: ("mfcc", "mean", "01")."""
    return _load(Path(path), FEATURE_TABLE)


def load_echonest(path: Path | str) -> pd.DataFrame:
    """Read echonest.csv: (tracks, 249), for the tracks that Echonest analysed; columns ("echonest", group, name)."""
    return _load(Path(path), ECHONEST)


def is_published(name: str, table: pd.DataFrame) -> bool:
    """Whether a table has the numbers of rows and columns of the published file."""
    return table.shape == PUBLISHED_SHAPES[name]


def _load(path: Path, schema: TableSchema) -> pd.DataFrame:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file. It is part of {ARCHIVES['metadata'].url}; unpack that and give its folder."
        )
    columns, levels = csv_rows.read_header(path, schema)
    rows = csv_rows.check_rows(path, schema, columns)
    kinds = [schema.columns.get(column, "text") for column in columns]
    table = _read_body(path, schema, columns, kinds)
    if len(table) != rows:
        raise csv_rows.TableError(
            f"{path}: found {rows} rows that end in a line feed, but {len(table)} if carriage returns end rows too; a "
            f"cell contains a carriage return outside quotes. {csv_rows.REMEDY}"
        )
    index = _index(path, schema, columns, table.pop(0))
    for place, (column, kind) in enumerate(zip(columns, kinds, strict=True), start=1):
        if kind not in ("number", "text"):
            try:
                table[place] = convert(kind, table[place])
            except ValueError:
                csv_rows.raise_for_bad_cell(path, schema, columns, {column: kind})
    table.index = index
    table.columns = pd.MultiIndex.from_tuples(columns, names=[level or None for level in levels])
    return table


def _read_body(path: Path, schema: TableSchema, columns: list[Column], kinds: list[Kind]) -> pd.DataFrame:
    """Read the cells below the header: columns 0 (the index), 1, 2, ...; float64 for numbers, else text or NaN."""
    numeric = {column: kind for column, kind in zip(columns, kinds, strict=True) if kind in ("integer", "number")}
    types: dict[int, type] = {p: np.float64 if column in numeric else object for p, column in enumerate(columns, 1)}
    try:
        return _parse(path, schema, {0: object, **types})
    except ValueError:
        csv_rows.raise_for_bad_cell(path, schema, columns, numeric)


def _parse(path: Path, schema: TableSchema, types: dict[int, type]) -> pd.DataFrame:
    return pd.read_csv(
        path,
        header=None,
        skiprows=schema.header_rows + schema.index_line,
        names=list(types),
        dtype=types,
        index_col=False,
        # Only an empty cell is missing: "NA", "None" and "null" are names of artists and titles of tracks.
        keep_default_na=False,
        na_values=[""],
        skip_blank_lines=False,
        encoding="utf-8",
        low_memory=False,
        float_precision="round_trip",  # pandas 2 loses the last digit without it
    )


def _index(path: Path, schema: TableSchema, columns: list[Column], values: pd.Series) -> pd.Index:
    index_column: Column = (schema.index_name,)
    try:
        index = pd.Index(pd.to_numeric(values, errors="raise").astype(np.int64), name=schema.index_name)
    except (ValueError, TypeError):
        csv_rows.raise_for_bad_cell(path, schema, columns, {index_column: "integer"})
    if index.has_duplicates:
        twice = index[index.duplicated()][0]
        raise csv_rows.TableError(f"{path}: {schema.index_name} {twice} occurs twice. {csv_rows.REMEDY}")
    return index
