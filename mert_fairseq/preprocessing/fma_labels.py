"""What prepare_fma.py writes beside the manifests: genre labels, and attribution of each track."""

from collections.abc import Iterable
from pathlib import Path

from mert_fairseq.files import escape, write_lines
from mert_fairseq.fma.corpus import FMA
from mert_fairseq.fma.licences import parse_licence
from mert_fairseq.labels.genre_labels import write_genre_labels, write_titles

LABELS = ("genre_top", "genres", "genres_all")
ATTRIBUTION_FILE = "attribution.tsv"
_ATTRIBUTION = ("split", "path", "track_id", "title", "artist", "album", "licence", "licence_as_given")

ManifestTrack = tuple[str, int]  # path in the manifest, track id


def genre_labels(fma: FMA) -> dict[str, dict[int, list[int]]]:
    """Genre ids of every track for each of LABELS; genre_top is empty where a track has several roots."""
    root_of_title = {fma.tree.titles[root]: root for root in fma.tree.roots}
    tracks = fma.tracks["track"]
    tops = {
        track_id: [root_of_title[top]] if isinstance(top, str) else [] for track_id, top in tracks["genre_top"].items()
    }
    return {"genre_top": tops, **{label: dict(tracks[label].items()) for label in LABELS[1:]}}


def write_genres(
    folder: Path, fma: FMA, tracks_of_split: dict[str, list[ManifestTrack]], possible: Iterable[int]
) -> None:
    """Write ``{split}.{label}`` with genre ids separated by blanks, ``dict.{label}.txt``, and genres.tsv.

    Args:
        folder: gets the files.
        fma: the tables.
        tracks_of_split: of each split, in the order of the manifest.
        possible: tracks whose genres the dictionaries hold: those of the chosen subset, read or not, so that a file
            that cannot be decoded does not change which class is which.
    """
    track_ids = list(possible)
    for label, genres_of in genre_labels(fma).items():
        dictionary = sorted({genre for track_id in track_ids for genre in genres_of[track_id]})
        genres_of_split = {
            split: [genres_of[track_id] for _, track_id in tracks] for split, tracks in tracks_of_split.items()
        }
        write_genre_labels(folder, label, genres_of_split, dictionary)
    tree = fma.tree
    write_titles(
        folder, ((genre, title, tree.root(genre), tree.title_path(genre)) for genre, title in tree.titles.items())
    )


def write_attribution(path: Path, fma: FMA, tracks_of_split: dict[str, list[ManifestTrack]]) -> None:
    """Write who made each track, and under which licence it stands: what nearly all of the licences ask for."""
    columns = [("track", "title"), ("artist", "name"), ("album", "title"), ("track", "license")]
    texts = fma.tracks[columns].astype(object)
    lines = ["\t".join(_ATTRIBUTION)]
    for split, tracks in tracks_of_split.items():
        rows = texts.loc[[track_id for _, track_id in tracks]].itertuples(index=False, name=None)
        for (manifest_path, track_id), (title, artist, album, licence) in zip(tracks, rows, strict=True):
            cells = [title, artist, album, parse_licence(licence).code, licence]
            cells = [escape(cell) if isinstance(cell, str) else "" for cell in cells]
            lines.append("\t".join([split, escape(manifest_path), str(track_id), *cells]))
    write_lines(path, lines)
