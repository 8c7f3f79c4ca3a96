"""Genre labels for any music: match a table of paths and genres to manifests."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mert_fairseq.files import escape, write_lines
from mert_fairseq.labels.genre_labels import GENRES_DIR, write_genre_labels, write_titles
from mert_fairseq.manifest import Manifest
from mert_fairseq.preprocessing.outputs import TRACKS_FILE

SPLITS = ("train", "valid", "test")
SEPARATOR = "|"  # between the genres in a cell
UNLABELLED_FILE = "unlabelled.txt"


@dataclass(frozen=True)
class Row:
    """The genres and the split of a track in a table."""

    genres: tuple[str, ...]
    split: str | None


@dataclass(frozen=True)
class LabelSummary:
    """Result of the match.

    Attributes:
        tracks: number of tracks with genres, per split.
        genres: number of tracks per genre, over all splits.
        unlabelled: paths in the manifests without a genre in the table.
        unmatched: paths in the table that are in no manifest.
    """

    tracks: dict[str, int]
    genres: dict[str, int]
    unlabelled: list[str]
    unmatched: list[str]

    def __str__(self) -> str:
        splits = ", ".join(f"{split} {count}" for split, count in self.tracks.items())
        genres = ", ".join(f"{title} {count}" for title, count in self.genres.items())
        notes = f"{len(self.unlabelled)} tracks without a genre ({UNLABELLED_FILE}); " if self.unlabelled else ""
        first = f", the first {self.unmatched[0]}" if self.unmatched else ""
        return f"{splits}; {genres}; {notes}{len(self.unmatched)} rows of the table match no track{first}"


def read_table(path: Path) -> dict[str, Row]:
    """Read a table with a header and the columns ``path``, ``genre`` and, optionally, ``split`` (train, valid or test).

    Columns are separated by tabs, several genres in a cell by ``|``. A track without a genre has an empty cell.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file and line, what was found and what was expected.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such table. Expected a text file with the columns path and genre, separated by tabs."
        )
    lines = csv.reader(io.StringIO(_read_text(path), newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    columns = next(lines, [])
    if missing := {"path", "genre"} - set(columns):
        raise ValueError(
            f"{path}:1: found the columns {columns}, expected path and genre, separated by tabs, and optionally split; "
            f"{' and '.join(sorted(missing))} is missing."
        )
    rows: dict[str, Row] = {}
    for line in filter(None, lines):
        where = f"{path}:{lines.line_num}"
        if len(line) != len(columns):
            raise ValueError(
                f"{where}: found {len(line)} cells, expected {len(columns)} separated by tabs, as in the first line; "
                f"a track without a genre has an empty cell."
            )
        cells = dict(zip(columns, line, strict=True))
        name, split = cells["path"], cells.get("split")
        if not name:
            raise ValueError(f"{where}: the path is empty. Name the track, or delete the line.")
        if name in rows:
            raise ValueError(f"{where}: {name!r} occurs twice. Give each track one row.")
        if split is not None and split not in SPLITS:
            raise ValueError(f"{where}: found the split {split!r}, expected one of {', '.join(SPLITS)}.")
        rows[name] = Row(tuple(title.strip() for title in cells["genre"].split(SEPARATOR) if title.strip()), split)
    return rows


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}:{line}: found the byte {error.object[error.start]:#04x}, expected UTF-8. Save the table as UTF-8: "
            f"iconv -f LATIN1 -t UTF-8 OLD > NEW, or whichever encoding it has."
        ) from error


def label_genres(data: Path, table: Path, out: Path | None = None) -> LabelSummary:
    """Write ``genres/`` for the manifests of a folder; if the table has splits, write new manifests too.

    Args:
        data: folder of manifests and, if make_manifest converted the audio, tracks.tsv. A row of the table matches a
            path in a manifest, or the path of the source of the converted file.
        table: see `read_table`.
        out: gets the manifests and ``genres/``. None means ``data``, and is allowed only if the table has no splits.

    Returns:
        The result; ``unlabelled.txt`` lists the tracks without a genre.

    Raises:
        FileNotFoundError: if there is no table, or no manifest.
        ValueError: if the table is invalid, or nothing matches.
    """
    rows = read_table(table)
    divides = any(row.split for row in rows.values())
    if divides and (out is None or out.resolve() == data.resolve()):
        raise ValueError(f"{table}: has splits, so new manifests are written. Give another folder (--out).")
    manifests = {split: Manifest.read(data / f"{split}.tsv") for split in SPLITS if (data / f"{split}.tsv").is_file()}
    if not manifests:
        raise FileNotFoundError(
            f"{data}: contains no {{split}}.tsv. Make manifests first (preprocess/make_manifest.py)."
        )
    sources = _sources(data / TRACKS_FILE)
    matched, unlabelled = _match(manifests, sources, rows)
    if not any(row.genres for _, row in matched.values()):
        raise ValueError(
            f"{table}: none of its {len(rows)} paths with a genre is one of the manifests in {data}. Paths are "
            f"relative to the music folder; the table's first is {next(iter(rows), '')!r}, the manifests' first "
            f"{unlabelled[0]!r}."
        )
    folder = data if out is None else out
    if divides:
        manifests = _divide(manifests, matched)
        folder.mkdir(parents=True, exist_ok=True)
        for split, manifest in manifests.items():
            manifest.write(folder / f"{split}.tsv")
    summary = _write_genres(folder, manifests, {path: row for path, (_, row) in matched.items()})
    write_lines(folder / GENRES_DIR / UNLABELLED_FILE, [escape(path) for path in unlabelled])
    matched_names = {name for name, _ in matched.values()}
    return LabelSummary(*summary, unlabelled, [path for path in rows if path not in matched_names])


def _sources(tracks: Path) -> dict[str, str]:
    """Map the path in the manifest to the path of its source, both escaped."""
    if not tracks.is_file():
        return {}
    with tracks.open(encoding="utf-8", newline="") as file:
        return {row["path"]: row["source"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}


def _match(
    manifests: dict[str, Manifest], sources: dict[str, str], rows: dict[str, Row]
) -> tuple[dict[str, tuple[str, Row]], list[str]]:
    """Map each path of a manifest to its row and the path in that row; also return the paths without a genre."""
    escaped = {escape(name): name for name in rows}
    matched: dict[str, tuple[str, Row]] = {}
    unlabelled = []
    for manifest in manifests.values():
        for path in manifest.paths:
            own = escape(path)
            name = escaped.get(sources.get(own, own), escaped.get(own))
            if name is not None:
                matched[path] = (name, rows[name])
            if name is None or not rows[name].genres:
                unlabelled.append(path)
    return matched, unlabelled


def _divide(manifests: dict[str, Manifest], matched: dict[str, tuple[str, Row]]) -> dict[str, Manifest]:
    """The manifests by the splits of the table, sorted by path; tracks without a row are left out."""
    tracks: dict[str, list[tuple[str, int]]] = {split: [] for split in SPLITS}
    for manifest in manifests.values():
        for path, samples in zip(manifest.paths, manifest.samples.tolist(), strict=True):
            if path in matched and (split := matched[path][1].split):
                tracks[split].append((path, samples))
    first = next(iter(manifests.values()))
    return {
        split: Manifest(
            first.root.resolve(),
            [path for path, _ in sorted(members)],
            np.array([samples for _, samples in sorted(members)], dtype=np.int64),
            first.sample_rate,
            first.settings,
        )
        for split, members in tracks.items()
        if members
    }


def _write_genres(
    out: Path, manifests: dict[str, Manifest], rows: dict[str, Row]
) -> tuple[dict[str, int], dict[str, int]]:
    """Write the label files as prepare_fma does: genres, and genre_top for tracks with exactly one genre."""
    folder = out / GENRES_DIR
    titles = sorted({title for row in rows.values() for title in row.genres})
    ids = {title: number for number, title in enumerate(titles, start=1)}
    labelled = {
        split: [rows[path].genres if path in rows else () for path in manifest.paths]
        for split, manifest in manifests.items()
    }
    all_ids = {split: [[ids[title] for title in genres] for genres in tracks] for split, tracks in labelled.items()}
    only_ids = {split: [genres if len(genres) == 1 else [] for genres in tracks] for split, tracks in all_ids.items()}
    write_genre_labels(folder, "genre_top", only_ids)
    write_genre_labels(folder, "genres", all_ids, ids.values())
    write_titles(folder, ((number, title, number, title) for title, number in ids.items()))
    total = Counter(title for tracks in labelled.values() for genres in tracks for title in genres)
    return {split: sum(map(bool, tracks)) for split, tracks in labelled.items()}, {t: total[t] for t in titles}
