"""The made-up tracks.csv: subsets nested, splits that no artist crosses, half of the large set without a top genre."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from fma_tree import people
from fma_tree.taxonomy import BELOW, ROOTS, SMALL_ROOTS, below, parent_of, root_of, with_ancestors
from mert_fairseq.fma.constants import SPLITS
from mert_fairseq.fma.schema import TRACK_COLUMNS

TRACKS_AN_ARTIST = 5


def _subset_plan(per_genre: int, medium_extra: int, large_extra: int) -> list[tuple[str, int, bool]]:
    """(subset, root, has a top genre) of every track; medium is unbalanced, half of large has no top genre."""
    plan = [("small", root, True) for root in SMALL_ROOTS for _ in range(per_genre)]
    roots = list(ROOTS)
    weights = 0.5 ** (np.arange(len(roots)) / 4)  # the biggest root has some 14 times the tracks of the smallest
    shares = np.floor(weights / weights.sum() * medium_extra).astype(int)
    shares[0] += medium_extra - shares.sum()
    plan += [("medium", root, True) for root, share in zip(roots, shares, strict=True) for _ in range(share)]
    plan += [("large", roots[place % len(roots)], place % 2 == 0) for place in range(large_extra)]
    return plan


def _splits(plan: list[tuple[str, int, bool]]) -> list[str]:
    """A split for each track, 8 : 1 : 1 within each subset and genre of ten tracks or more, and over all the rest."""
    sizes = Counter(row[:2] for row in plan)
    seen: Counter[tuple[str, int]] = Counter()
    splits = []
    for subset, root, _ in plan:
        group, size = ((subset, root), sizes[subset, root]) if sizes[subset, root] >= 10 else (("rest", 0), 10)
        share = (seen[group] % size + 0.5) / size
        seen[group] += 1
        splits.append("training" if share < 0.8 else "validation" if share < 0.9 else "test")
    return splits


def make_tracks(
    rng: np.random.Generator,
    per_genre: int,
    medium_extra: int,
    large_extra: int,
    bad_ids: tuple[int, ...],
) -> pd.DataFrame:
    """Rows of tracks.csv as the CSV holds them (lists and dates are text), with the 52 published columns.

    Args:
        rng: source of all that is drawn.
        per_genre: tracks of each of the 8 genres in small.
        medium_extra: tracks in medium that are not in small, over all 16 roots.
        large_extra: tracks in large only; every other one has genres of two roots and no top genre.
        bad_ids: ids that must occur, spread over the small set.
    """
    plan = _subset_plan(per_genre, medium_extra, large_extra)
    splits = _splits(plan)
    free = np.setdiff1d(np.arange(2, 155_000), bad_ids)
    ids = np.sort(rng.choice(free, len(plan), replace=False))
    smalls = [place for place, row in enumerate(plan) if row[0] == "small"]
    if len(bad_ids) > len(smalls):
        raise ValueError(
            f"{len(bad_ids)} bad files need as many tracks in small, there are {len(smalls)}; raise per_genre."
        )
    ids[smalls[:: max(1, len(smalls) // max(1, len(bad_ids)))][: len(bad_ids)]] = bad_ids
    artists: dict[str, int] = {}
    rows = []
    for place, ((subset, root, has_top), split) in enumerate(zip(plan, splits, strict=True)):
        artists[split] = artists.get(split, -1) + 1
        artist_id = len(SPLITS) * (artists[split] // TRACKS_AN_ARTIST) + SPLITS.index(split) + 1
        genres = [int(rng.choice(below(root)))]
        if not has_top:
            genres.append(int(rng.choice([other for other in ROOTS if other != root])))
        rows.append(_row(rng, place, artist_id, genres, ROOTS[root] if has_top else ""))
        rows[-1][("set", "subset")], rows[-1][("set", "split")] = subset, split
    table = pd.DataFrame(rows, index=pd.Index(ids, name="track_id"), columns=pd.MultiIndex.from_tuples(TRACK_COLUMNS))
    return table.sort_index()


def _row(
    rng: np.random.Generator, place: int, artist_id: int, genres: list[int], top: str
) -> dict[tuple[str, ...], Any]:
    day = pd.Timestamp("2008-11-26 01:44:45") + pd.Timedelta(hours=int(rng.integers(70_000)))
    where, latitude, longitude = people.PLACES[artist_id % len(people.PLACES)]
    listens = int(rng.lognormal(6.5, 1.2))
    tags = [str(tag) for tag in rng.choice(people.TAGS, rng.integers(3), replace=False)]
    row: dict[tuple[str, ...], Any] = {
        ("album", "id"): artist_id * 10,
        ("album", "title"): f"Album of {artist_id}",
        ("album", "type"): people.ALBUM_TYPES[artist_id % len(people.ALBUM_TYPES)],
        ("album", "tags"): "[]",
        ("album", "tracks"): TRACKS_AN_ARTIST,
        ("album", "information"): "<p>Short &amp; sweet</p>",
        ("album", "date_created"): str(day),
        ("album", "date_released"): str(day.normalize()) if place % 3 else "",
        ("artist", "id"): artist_id,
        ("artist", "name"): "N/A" if artist_id % 7 == 0 else f"Artist {artist_id}",
        ("artist", "bio"): people.BIO,
        ("artist", "tags"): str(tags[:1]),
        ("artist", "date_created"): str(day),
        ("artist", "active_year_begin"): "2006-01-01 00:00:00" if place % 2 else "",
        ("artist", "location"): where,
        ("artist", "latitude"): latitude,
        ("artist", "longitude"): longitude,
        ("track", "bit_rate"): int(
            rng.choice([320_000, 256_000, 192_000, 128_000, 263_441], p=[0.6, 0.2, 0.1, 0.05, 0.05])
        ),
        ("track", "date_created"): str(day),
        ("track", "duration"): max(30, round(float(rng.lognormal(5.4, 0.6)))),
        ("track", "genre_top"): top,
        ("track", "genres"): str(genres),
        ("track", "genres_all"): str(with_ancestors(genres)),
        ("track", "interest"): listens * 2,
        ("track", "listens"): listens,
        ("track", "language_code"): people.LANGUAGES[place % len(people.LANGUAGES)],
        ("track", "license"): str(rng.choice(people.LICENCES, p=people.LICENCE_SHARES)),
        ("track", "number"): place % TRACKS_AN_ARTIST + 1,
        ("track", "tags"): str(tags),
        ("track", "title"): people.TITLES[place % len(people.TITLES)],
    }
    counts = [column for column, kind in TRACK_COLUMNS.items() if kind == "integer" and column not in row]
    return row | {column: int(rng.integers(20)) for column in counts}


def make_genres(tracks: pd.DataFrame) -> pd.DataFrame:
    """Rows of genres.csv for the genres of :mod:`taxonomy`, with the tracks of each counted through its ancestors."""
    counts = tracks["track", "genres_all"].map(lambda text: [int(genre) for genre in text.strip("[]").split(",")])
    counts = counts.explode().value_counts()
    titles = ROOTS | {genre: title for genre, (_, title) in BELOW.items()}
    rows = [
        {
            "#tracks": int(counts.get(genre, 0)),
            "parent": parent_of(genre),
            "title": titles[genre],
            "top_level": root_of(genre),
        }
        for genre in sorted(titles)
    ]
    return pd.DataFrame(rows, index=pd.Index(sorted(titles), name="genre_id"))
