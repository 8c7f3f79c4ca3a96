"""What the text of a cell means: numbers, dates, lists written as Python literals, categories."""

import ast
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from mert_fairseq.fma.layout import VOCABULARIES, Kind

UNKNOWN_COUNT = -1  # the tables' own mark for a count that is not known

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
    """Value of a Python literal, without executing anything."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"not a literal: {text[:60]!r}") from error


def _list_of(kind: type, text: str) -> list[Any]:
    value = _literal(text)
    if not isinstance(value, list) or not all(type(item) is kind for item in value):
        raise ValueError(f"not a list of {kind.__name__}: {text[:60]!r}")
    return list(value)  # a copy: the cached one must not change under the caller's hands


def parse_integers(text: str) -> list[int]:
    """``"[76, 103]"`` -> ``[76, 103]``; raises ValueError for anything else."""
    return _list_of(int, text)


def parse_words(text: str) -> list[str]:
    """``"['lo-fi', 'live']"`` -> ``["lo-fi", "live"]``; raises ValueError for anything else."""
    return _list_of(str, text)


def parse_date(text: str) -> pd.Timestamp:
    """An ISO date with or without a time of day; raises ValueError for anything else."""
    return pd.to_datetime(text, format="ISO8601", errors="raise")


def fits(kind: Kind, text: str) -> bool:
    """Whether a cell holds what its column should; an empty cell does where the column may be empty."""
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
    """Turn a column of text (float64 for numbers; NaN where the cell is empty) into what its kind stands for.

    Dates become datetime64[s], integers int64 with -1 for an empty cell, lists Python lists, vocabularies ordered or
    plain categories; text stays Python strings, whatever pandas infers by default.

    Raises:
        ValueError: if a cell does not fit; :func:`fits` finds which.
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
