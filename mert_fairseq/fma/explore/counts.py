"""Counts for the report: columns, and tracks per genre, subset, split, licence and bit rate."""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from mert_fairseq.fma.constants import SPLITS, SUBSETS
from mert_fairseq.fma.corpus import FMA
from mert_fairseq.fma.licences import Licence, parse_licence

CELL_CHARACTERS = 48  # longer cells are truncated in the report
COMMON_BIT_RATES = (320_000, 256_000, 192_000, 160_000, 128_000)


def describe_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Describe each column of ``table``: type, missing cells and their share, distinct values, the first values.

    Returns:
        One row per column, index "track/genres"; columns: type, missing, missing_share, distinct, first, second, third.
    """
    rows = {}
    for place, column in enumerate(table.columns):
        values = table.iloc[:, place]
        missing = values.isna() if values.dtype != object else values.map(_is_empty)
        head = [shorten(value) for value in values.iloc[:3]] + [""] * 3
        rows["/".join(column) if isinstance(column, tuple) else str(column)] = {
            "type": _type_name(values),
            "missing": int(missing.sum()),
            "missing_share": float(missing.mean()),
            "distinct": int((values.astype(str) if values.dtype == object else values).nunique()),
            **dict(zip(("first", "second", "third"), head[:3], strict=True)),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _is_empty(value: object) -> bool:
    """Whether a cell is missing or an empty list."""
    return len(value) == 0 if isinstance(value, list) else bool(pd.isna(value))


def _type_name(values: pd.Series) -> str:
    if values.dtype == object:
        return "list" if values.map(lambda value: isinstance(value, list)).any() else "text"
    if isinstance(values.dtype, pd.CategoricalDtype):
        return "ordered category" if values.dtype.ordered else "category"
    return "date" if values.dtype.kind == "M" else str(values.dtype)


def shorten(value: object) -> str:
    """Format a cell as one line of limited length."""
    text = "" if not isinstance(value, list) and pd.isna(value) else " ".join(str(value).split())
    return text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 1] + "…"


def split_sizes(fma: FMA) -> pd.DataFrame:
    """Tracks per subset (rows; each includes the smaller ones) and official split (columns)."""
    rows = {subset: fma.select(subset)["set", "split"].value_counts() for subset in SUBSETS}
    return pd.DataFrame(rows).T.reindex(columns=list(SPLITS)).fillna(0).astype(int)


def top_genre_counts(fma: FMA, subset: str) -> pd.DataFrame:
    """Tracks per top genre (rows, the largest first) and split (columns), without tracks that have no top genre."""
    tracks = fma.select(subset)
    counts = pd.crosstab(tracks["track", "genre_top"], tracks["set", "split"])
    counts = counts.reindex(columns=list(SPLITS), fill_value=0)
    return counts.loc[counts.sum(axis=1).sort_values(ascending=False).index]


def genre_counts(fma: FMA) -> pd.DataFrame:
    """Tracks per genre of the tree and subset, counted through ``genres_all``.

    Returns:
        Index ``genre_id`` in the order of the tree (a root, then all genres below it); columns: title, depth, published
        (number in genres.csv), small, medium, large.
    """
    counts = {subset: _count(fma.select(subset)["track", "genres_all"]) for subset in SUBSETS}
    order = [genre for root in fma.tree.roots for genre in (root, *fma.tree.descendants(root))]
    rows = [
        {
            "title": fma.tree.titles[genre],
            "depth": len(fma.tree.path(genre)) - 1,
            "published": int(fma.genres.loc[genre, "#tracks"]),
            **{subset: counts[subset][genre] for subset in SUBSETS},
        }
        for genre in order
    ]
    return pd.DataFrame(rows, index=pd.Index(order, name="genre_id"))


def _count(lists: Iterable[list[int]]) -> Counter[int]:
    return Counter(genre for genres in lists for genre in genres)


def licence_counts(fma: FMA) -> pd.DataFrame:
    """Tracks per licence, the most frequent first; columns: tracks, derivatives, commercial."""
    licences = [parse_licence(text) for text in fma.tracks["track", "license"].astype(object)]
    codes = Counter(licence.code for licence in licences)
    examples: dict[str, Licence] = {licence.code: licence for licence in licences}
    rows = {
        code: {"tracks": count, "derivatives": examples[code].derivatives, "commercial": examples[code].commercial}
        for code, count in codes.most_common()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def bit_rate_counts(fma: FMA) -> pd.Series:
    """Tracks per common constant bit rate in kbit/s; all other rates (variable ones) are "other"."""
    rates = fma.tracks["track", "bit_rate"]
    counts = {f"{rate // 1000}": int((rates == rate).sum()) for rate in COMMON_BIT_RATES}
    counts["other"] = len(rates) - sum(counts.values())
    return pd.Series(counts, name="tracks")


def artists_in_several_splits(fma: FMA) -> int:
    """Artists with tracks in more than one split: 0 in the published table."""
    tracks = fma.tracks
    return int((tracks["set", "split"].astype(str).groupby(tracks["artist", "id"]).nunique() > 1).sum())
