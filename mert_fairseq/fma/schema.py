"""Columns of the four metadata tables, the kind of each column, and how cells of a kind are parsed."""

import ast
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mert_fairseq.fma.constants import SPLITS, SUBSETS

Column = tuple[str, ...]
Kind = str  # one of: text, integer, number, date, integers, words, category, split, subset


class TableSchema(NamedTuple):
    """Structure of one CSV file: stacked header lines, then (if ``index_line``) a line with only the index name."""

    name: str
    header_rows: int
    index_name: str
    index_line: bool
    columns: dict[Column, Kind]


def _named(group: str, **kinds: str) -> dict[Column, Kind]:
    """Columns of a group in the published order, which is alphabetical."""
    return dict(sorted({(group, name): kind for kind, names in kinds.items() for name in names.split()}.items()))


TRACK_COLUMNS: dict[Column, Kind] = {
    **_named(
        "album",
        integer="comments favorites id listens tracks",
        date="date_created date_released",
        words="tags",
        category="information type",
        text="engineer producer title",
    ),
    **_named(
        "artist",
        integer="comments favorites id",
        number="latitude longitude",
        date="active_year_begin active_year_end date_created",
        words="tags",
        category="bio",
        text="associated_labels location members name related_projects website wikipedia_page",
    ),
    **_named("set", split="split", subset="subset"),
    **_named(
        "track",
        integer="bit_rate comments duration favorites interest listens number",
        date="date_created date_recorded",
        integers="genres genres_all",
        words="tags",
        category="genre_top language_code license",
        text="composer information lyricist publisher title",
    ),
}

GENRE_COLUMNS: dict[Column, Kind] = {
    ("#tracks",): "integer",
    ("parent",): "integer",
    ("title",): "text",
    ("top_level",): "integer",
}

FEATURES = {  # values per frame
    "chroma_cens": 12,
    "chroma_cqt": 12,
    "chroma_stft": 12,
    "mfcc": 20,
    "rmse": 1,
    "spectral_bandwidth": 1,
    "spectral_centroid": 1,
    "spectral_contrast": 7,
    "spectral_rolloff": 1,
    "tonnetz": 6,
    "zcr": 1,
}
MOMENTS = ("kurtosis", "max", "mean", "median", "min", "skew", "std")  # over the frames of the whole track
FEATURE_COLUMNS: dict[Column, Kind] = {
    (feature, moment, f"{number:02d}"): "number"
    for feature, size in FEATURES.items()
    for moment in MOMENTS
    for number in range(1, size + 1)
}

_AUDIO = ["acousticness", "danceability", "energy", "instrumentalness", "liveness", "speechiness", "tempo", "valence"]
_SOCIAL = ["artist_discovery", "artist_familiarity", "artist_hotttnesss", "song_currency", "song_hotttnesss"]
ECHONEST_GROUPS: dict[str, dict[str, Kind]] = {
    "audio_features": dict.fromkeys(_AUDIO, "number"),
    "metadata": {
        "album_date": "text",
        "album_name": "text",
        "artist_latitude": "number",
        "artist_location": "text",
        "artist_longitude": "number",
        "artist_name": "text",
        "release": "text",
    },
    "ranks": dict.fromkeys([f"{name}_rank" for name in _SOCIAL], "number"),
    "social_features": dict.fromkeys(_SOCIAL, "number"),
    "temporal_features": dict.fromkeys([f"{number:03d}" for number in range(224)], "number"),
}
ECHONEST_COLUMNS: dict[Column, Kind] = {
    ("echonest", group, name): kind for group, names in ECHONEST_GROUPS.items() for name, kind in names.items()
}

TRACKS = TableSchema("tracks.csv", 2, "track_id", True, TRACK_COLUMNS)
GENRES = TableSchema("genres.csv", 1, "genre_id", False, GENRE_COLUMNS)
FEATURE_TABLE = TableSchema("features.csv", 3, "track_id", True, FEATURE_COLUMNS)
ECHONEST = TableSchema("echonest.csv", 3, "track_id", True, ECHONEST_COLUMNS)

VOCABULARIES = {"split": SPLITS, "subset": SUBSETS}
UNKNOWN_COUNT = -1  # as in the published tables

EXPECTED = {
    "integer": "a whole number",
    "number": "a number",
    "date": "a date such as 2008-11-26 01:44:45",
    "integers": "a list of genre ids such as [76, 103]",
    "words": "a list of words such as ['lo-fi', 'live']",
    "split": f"one of {', '.join(VOCABULARIES['split'])}",
    "subset": f"one of {', '.join(VOCABULARIES['subset'])}",
}


@lru_cache(maxsize=1 << 16)
def _literal(text: str) -> Any:
    """Parse a Python literal without executing code."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"not a literal: {text[:60]!r}") from error


def _list_of(kind: type, text: str) -> list[Any]:
    value = _literal(text)
    if not isinstance(value, list) or not all(type(item) is kind for item in value):
        raise ValueError(f"not a list of {kind.__name__}: {text[:60]!r}")
    return list(value)  # a copy, so that callers cannot change the cached list


def parse_integers(text: str) -> list[int]:
    """Parse ``"[76, 103]"`` to ``[76, 103]``; raises ValueError for anything else."""
    return _list_of(int, text)


def parse_words(text: str) -> list[str]:
    """Parse ``"['lo-fi', 'live']"`` to ``["lo-fi", "live"]``; raises ValueError for anything else."""
    return _list_of(str, text)


def parse_date(text: str) -> pd.Timestamp:
    """Parse an ISO date with or without a time of day; raises ValueError for anything else."""
    return pd.to_datetime(text, format="ISO8601", errors="raise")


def fits(kind: Kind, text: str) -> bool:
    """Whether a cell is valid for its column. An empty cell is valid unless the column holds lists."""
    parsers: dict[Kind, Callable[[str], Any]] = {
        "integer": _integer,
        "number": float,
        "date": parse_date,
        "integers": parse_integers,
        "words": parse_words,
    }
    if kind in VOCABULARIES:
        return text in VOCABULARIES[kind]
    if kind not in parsers or (text == "" and kind not in ("integers", "words")):
        return True
    try:
        parsers[kind](text)
    except ValueError:
        return False
    return True


def _integer(text: str) -> int:
    number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def convert(kind: Kind, values: pd.Series) -> pd.Series:
    """Convert a column of text (float64 for numbers; NaN for empty cells) to the type of its kind.

    Dates become datetime64[s], integers int64 with -1 for an empty cell, lists Python lists, vocabularies ordered or
    unordered categories. Text stays Python strings.

    Raises:
        ValueError: if a cell is invalid; :func:`fits` finds which.
    """
    match kind:
        case "integer":
            filled = values.fillna(UNKNOWN_COUNT)
            if not np.isfinite(filled).all() or (filled % 1 != 0).any():
                raise ValueError("not a whole number")
            return filled.astype(np.int64)
        case "date":
            return pd.to_datetime(values, format="ISO8601", errors="raise").astype("datetime64[s]")
        case "integers":
            return pd.Series([parse_integers(text) for text in _texts(values)], values.index, dtype=object)
        case "words":
            return pd.Series([parse_words(text) for text in _texts(values)], values.index, dtype=object)
        case "category":
            return values.astype("category")
        case "split" | "subset":
            words = VOCABULARIES[kind]
            if not values.isin(words).all():
                raise ValueError(f"not one of {words}")
            return values.astype(pd.CategoricalDtype(words, ordered=kind == "subset"))
    return values


def _texts(values: pd.Series) -> list[str]:
    return ["" if isinstance(value, float) else value for value in values]
