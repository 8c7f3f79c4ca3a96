"""The numbers behind the report: what is in each column, tracks per genre, subset and split, who is in two splits."""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from mert_fairseq.fma.card import SPLITS, SUBSETS
from mert_fairseq.fma.corpus import FMA
from mert_fairseq.fma.licences import Licence, parse_licence

CELL_CHARACTERS = 48  # longer cells are cut in the tables of the report
COMMON_BIT_RATES = (320_000, 256_000, 192_000, 160_000, 128_000)


def describe_columns(table: pd.DataFrame) -> pd.DataFrame:
    """One row a column of ``table``: type, missing cells and their share, different values, the first values.

    Returns:
        Index: the column as "track/genres"; columns: type, missing, missing_share, distinct, first, second, third.
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
    """Missing, or a list without an item."""
    return len(value) == 0 if isinstance(value, list) else bool(pd.isna(value))


def _type_name(values: pd.Series) -> str:
    if values.dtype == object:
        return "list" if values.map(lambda value: isinstance(value, list)).any() else "text"
    if isinstance(values.dtype, pd.CategoricalDtype):
        return "ordered category" if values.dtype.ordered else "category"
    return "date" if values.dtype.kind == "M" else str(values.dtype)


def shorten(value: object) -> str:
    """A cell for the report: one line, cut."""
    text = "" if not isinstance(value, list) and pd.isna(value) else " ".join(str(value).split())
    return text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 1] + "…"


def split_sizes(fma: FMA) -> pd.DataFrame:
    """Tracks of each subset (rows; each holds the smaller ones) in each official split (columns)."""
    rows = {subset: fma.select(subset)["set", "split"].value_counts() for subset in SUBSETS}
    return pd.DataFrame(rows).T.reindex(columns=list(SPLITS)).fillna(0).astype(int)


def top_genre_counts(fma: FMA, subset: str) -> pd.DataFrame:
    """Tracks of each top genre (rows, the biggest first) in each split (columns); tracks without one are left out."""
    tracks = fma.select(subset)
    counts = pd.crosstab(tracks["track", "genre_top"], tracks["set", "split"])
    counts = counts.reindex(columns=list(SPLITS), fill_value=0)
    return counts.loc[counts.sum(axis=1).sort_values(ascending=False).index]


def genre_counts(fma: FMA) -> pd.DataFrame:
    """Tracks of every genre of the tree in each subset, counted through ``genres_all``.

    Returns:
        Index ``genre_id`` in the order of the tree (a root, then all below it); columns: title, depth, published (what
        genres.csv says), small, medium, large.
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
    """Tracks under each licence, the commonest first; columns: tracks, derivatives, commercial."""
    licences = [parse_licence(text) for text in fma.tracks["track", "license"].astype(object)]
    codes = Counter(licence.code for licence in licences)
    examples: dict[str, Licence] = {licence.code: licence for licence in licences}
    rows = {
        code: {"tracks": count, "derivatives": examples[code].derivatives, "commercial": examples[code].commercial}
        for code, count in codes.most_common()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def bit_rate_counts(fma: FMA) -> pd.Series:
    """Tracks of each common constant bit rate in kbit/s; all others (variable ones) together."""
    rates = fma.tracks["track", "bit_rate"]
    counts = {f"{rate // 1000}": int((rates == rate).sum()) for rate in COMMON_BIT_RATES}
    counts["other"] = len(rates) - sum(counts.values())
    return pd.Series(counts, name="tracks")


def artists_in_several_splits(fma: FMA) -> int:
    """Artists with tracks in more than one split: 0 in the published table."""
    tracks = fma.tracks
    return int((tracks["set", "split"].astype(str).groupby(tracks["artist", "id"]).nunique() > 1).sum())
