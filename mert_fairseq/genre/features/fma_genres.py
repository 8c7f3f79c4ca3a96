"""The genres of FMA's tracks, by their titles."""

import logging
from collections.abc import Iterable
from typing import NamedTuple

from mert_fairseq.fma.corpus import FMA
from mert_fairseq.fma.genre_tree import GenreTree

logger = logging.getLogger(__name__)

LABELS = ("genre_top", "roots", "genres_all")


class LabelledTracks(NamedTuple):
    """Tracks of a split, with the titles of their genres.

    Attributes:
        ids: track ids, ascending.
        genres: of each track, at least one.
    """

    ids: list[int]
    genres: list[list[str]]


def several_genres(labels: str) -> bool:
    """Whether tracks may have several genres under a choice of LABELS."""
    return labels != "genre_top"


def labelled_tracks(fma: FMA, subset: str, split: str, labels: str = "genre_top") -> LabelledTracks:
    """Tracks of a subset's official split that have a genre; those without are counted in the log.

    Args:
        fma: the tables.
        subset: small, medium or large.
        split: training, validation or test.
        labels: genre_top, the one top genre; roots, all top-level genres above a track's genres; genres_all, these and
            all that lie between, named by their path ("Rock > Punk").

    Raises:
        ValueError: if a choice is unknown, or no track is left.
        KeyError: if a track has a genre that genres.csv lacks.
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
    if strange := [genre for genre in genres if genre not in tree]:
        raise KeyError(
            f"tracks.csv: track {track} has the unknown genre {strange[0]}, which genres.csv lacks. The two must come "
            f"from the same archive."
        )
    if labels == "roots":
        return sorted({tree.titles[tree.root(genre)] for genre in genres})
    return sorted({tree.title_path(genre) for genre in genres})


def without_rare(tracks: LabelledTracks, kept: set[str]) -> LabelledTracks:
    """Take out all genres but those in ``kept``, and the tracks that have no other."""
    left = [(track, [genre for genre in genres if genre in kept]) for track, genres in zip(*tracks, strict=True)]
    left = [(track, genres) for track, genres in left if genres]
    return LabelledTracks([track for track, _ in left], [genres for _, genres in left])
