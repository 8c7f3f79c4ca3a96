"""Rows of FMA's tables for genre classification: genres, features and Echonest's groups of tracks."""

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from mert_fairseq.fma.corpus import FMA
from mert_fairseq.fma.genre_tree import GenreTree
from mert_fairseq.fma.schema import ECHONEST_GROUPS

logger = logging.getLogger(__name__)

LABELS = ("genre_top", "roots", "genres_all")


class LabelledTracks(NamedTuple):
    """Tracks of a split with their genres by title.

    Attributes:
        ids: track ids, ascending.
        genres: of each track, at least one.
    """

    ids: list[int]
    genres: list[list[str]]


def is_multi_label(labels: str) -> bool:
    """Whether tracks may have several genres with this choice of LABELS."""
    return labels != "genre_top"


def labelled_tracks(fma: FMA, subset: str, split: str, labels: str = "genre_top") -> LabelledTracks:
    """Select the tracks of a subset and official split that have a genre. Others are counted in the log.

    Args:
        fma: the tables.
        subset: small, medium or large.
        split: training, validation or test.
        labels: genre_top, the single top genre; roots, all top-level genres of a track; genres_all, all genres of a
            track with all genres above them, named by their path ("Rock > Punk").

    Raises:
        ValueError: if an argument is unknown, or no track is left.
        KeyError: if a track has a genre that is not in genres.csv.
    """
    if labels not in LABELS:
        raise ValueError(f"labels is {labels!r}, expected one of {', '.join(LABELS)}.")
    chosen = fma.select(subset, split)
    column = chosen["track", "genre_top" if labels == "genre_top" else "genres_all"]
    tops = {fma.tree.titles[root] for root in fma.tree.roots}
    titles = [
        _top(int(track), value, tops) if labels == "genre_top" else _all(fma.tree, int(track), value, labels)
        for track, value in column.items()
    ]
    kept = [(int(track), genres) for track, genres in zip(chosen.index, titles, strict=True) if genres]
    if not kept:
        raise ValueError(
            f"{fma.metadata_dir / 'tracks.csv'}: no track of subset {subset}, split {split}, has {labels}; expected "
            f"some. Choose another subset."
        )
    if without := len(chosen) - len(kept):
        logger.warning(f"{without} of {len(chosen)} tracks of {subset} {split} have no {labels} and are left out")
    return LabelledTracks([track for track, _ in kept], [genres for _, genres in kept])


def _top(track: int, title: object, tops: set[str]) -> list[str]:
    if not isinstance(title, str):
        return []
    if title not in tops:
        raise KeyError(
            f"tracks.csv: track {track} has the unknown genre {title!r}; the top genres of genres.csv are "
            f"{', '.join(sorted(tops))}. The two must come from the same archive."
        )
    return [title]


def _all(tree: GenreTree, track: int, genres: Iterable[int], labels: str) -> list[str]:
    if unknown := [genre for genre in genres if genre not in tree]:
        raise KeyError(
            f"tracks.csv: track {track} has the unknown genre {unknown[0]}, which genres.csv lacks. The two must come "
            f"from the same archive."
        )
    if labels == "roots":
        return sorted({tree.titles[tree.root(genre)] for genre in genres})
    return sorted({tree.title_path(genre) for genre in genres})


def without_rare(tracks: LabelledTracks, kept: set[str]) -> LabelledTracks:
    """Remove all genres that are not in ``kept``, and tracks without a remaining genre."""
    left = [(track, [genre for genre in genres if genre in kept]) for track, genres in zip(*tracks, strict=True)]
    left = [(track, genres) for track, genres in left if genres]
    return LabelledTracks([track for track, _ in left], [genres for _, genres in left])


def features_of(features: pd.DataFrame, ids: Sequence[int]) -> pd.DataFrame:
    """Select the rows of the given tracks.

    Raises:
        ValueError: if a track has no row; names the first.
    """
    if len(missing := pd.Index(ids).difference(features.index)):
        raise ValueError(
            f"features.csv: {len(missing)} of {len(ids)} tracks have no features, the first is {missing[0]}. "
            f"tracks.csv and features.csv must come from the same archive."
        )
    return features.loc[list(ids)]


def echonest_table(fma: FMA, groups: Sequence[str]) -> pd.DataFrame:
    """Select groups of echonest.csv; columns are (group, name).

    Raises:
        ValueError: if a group is unknown, or is metadata, which is text.
    """
    known = [group for group in ECHONEST_GROUPS if group != "metadata"]
    if unknown := [group for group in groups if group not in known]:
        raise ValueError(f"Echonest group {unknown[0]!r} is unknown, expected some of {', '.join(known)}.")
    table = fma.echonest["echonest"]
    return table[[column for column in table.columns if column[0] in groups]]


def rows_known(table: pd.DataFrame, ids: Sequence[int]) -> pd.DataFrame:
    """Select the rows of those tracks that are in the table."""
    return table.loc[[track for track in ids if track in table.index]]
