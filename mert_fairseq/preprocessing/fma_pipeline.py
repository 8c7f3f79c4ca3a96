"""From FMA's tables and audio to manifests of a subset in its official splits, genre labels, rejects attribution."""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mert_fairseq.files import escape, write_lines
from mert_fairseq.fma.constants import MANIFEST_SPLITS
from mert_fairseq.fma.corpus import FMA
from mert_fairseq.fma.licences import parse_licence
from mert_fairseq.labels.genre_labels import GENRES_DIR, write_genre_labels, write_titles
from mert_fairseq.preprocessing.converted_files import converted_folder
from mert_fairseq.preprocessing.examine_files import Progress, examine_all
from mert_fairseq.preprocessing.examine_track import Settings, Track
from mert_fairseq.preprocessing.fma_selection import Choice, Plan, plan_tracks
from mert_fairseq.preprocessing.outputs import Summary, manifest_path, write_outputs
from mert_fairseq.preprocessing.pipeline_steps import (
    check_settings,
    reject_duplicates,
    scan_sources,
    separate_rejects,
)
from mert_fairseq.preprocessing.reject_reasons import NoTracksError, write_rejects
from mert_fairseq.preprocessing.track_journal import JOURNAL_FILE, Journal

MADE_BY = "preprocess/prepare_fma.py"
SMALL = Choice()
PLANNED_REJECTS_FILE = "planned_rejects.tsv"  # rejects.tsv stays that of the run which wrote the manifests
EXPECTED = "Expected files such as 000/000002.mp3 below it. "
DUPLICATE_PRIORITY = ("test", "valid", "train")  # of equal audio, keep the test track out of the training data
LABELS = ("genre_top", "genres", "genres_all")
ATTRIBUTION_FILE = "attribution.tsv"
ATTRIBUTION_COLUMNS = ("split", "path", "track_id", "title", "artist", "album", "licence", "licence_as_given")

ManifestTrack = tuple[str, int]  # path in the manifest, track id


@dataclass(frozen=True)
class FMASummary(Summary):
    """The result of `prepare_fma`.

    Attributes:
        without_top_genre: tracks of the manifests whose genres have several roots.
        other_tracks: files of tracks outside the chosen subset and splits.
    """

    without_top_genre: int
    other_tracks: int

    def __str__(self) -> str:
        notes = f"{self.other_tracks} files of other subsets or splits ignored; " if self.other_tracks else ""
        top = f"{self.without_top_genre} tracks without a top genre; " if self.without_top_genre else ""
        return notes + top + super().__str__()


def plan_fma(fma: FMA, out_dir: Path, settings: Settings, choice: Choice) -> Plan:
    """Find what `prepare_fma` would examine, from the tables and file names only; writes planned_rejects.tsv.

    Raises:
        TableError: if tracks.csv or genres.csv is damaged.
        NoTracksError: if the folder holds no chosen track.
        ValueError: if a choice is unknown, the tables do not match, or the folder of converted files contains the
            sources.
    """
    settings, plan = _plan(fma, out_dir, settings, choice)
    out_dir.mkdir(parents=True, exist_ok=True)
    write_rejects(out_dir / PLANNED_REJECTS_FILE, plan.rejects)
    if not plan.tracks:
        raise NoTracksError.of(settings.audio_dir, plan.rejects, PLANNED_REJECTS_FILE, EXPECTED)
    return plan


def _plan(fma: FMA, out_dir: Path, settings: Settings, choice: Choice) -> tuple[Settings, Plan]:
    fma.check_genres()
    settings, scan = scan_sources(out_dir, settings)
    return settings, plan_tracks(fma, scan, settings, choice)


def prepare_fma(
    fma: FMA,
    out_dir: Path,
    settings: Settings,
    choice: Choice = SMALL,
    workers: int = 1,
    report: Callable[[Progress], None] = lambda progress: None,
) -> FMASummary:
    """Examine and convert the tracks of a subset, and write all that training needs, except frame labels.

    The same tables, files and settings produce the same bytes for any number of workers. After an interruption, the
    same call resumes.

    Args:
        fma: the tables.
        out_dir: gets {train,valid,test}.tsv and .json, genres/, rejects.tsv, tracks.tsv, attribution.tsv, the journal.
        settings: of examination and conversion; ``audio_dir`` is the unpacked audio archive.
        choice: which tracks.
        workers: processes.
        report: called after each file.

    Raises:
        TableError: if tracks.csv or genres.csv is damaged.
        NoTracksError: if no track is left.
        ValueError: if an option is unknown, the tables do not match, or the folder of converted files contains the
            sources or belongs to another data set.
        BlockingIOError: if another run is writing to ``out_dir`` or to the folder of converted files.
    """
    started = time.monotonic()
    check_settings(settings, workers)
    out_dir = out_dir.resolve()
    settings, plan = _plan(fma, out_dir, settings, choice)
    splits = {int(track_id): MANIFEST_SPLITS[split] for track_id, split in fma.tracks["set", "split"].items()}
    split_of = {path: splits[track_id] for path, track_id in plan.ids.items()}
    with converted_folder(settings), Journal(out_dir / JOURNAL_FILE, settings) as journal:
        examined, resumed = examine_all(plan.tracks, settings, journal, workers, report)
        # converted files of duplicates stay: with --keep-duplicates the next run lists them
        tracks = examined if choice.keep_duplicates else _reject_duplicates(examined, split_of)
        accepted, rejects = separate_rejects(tracks, plan.rejects, out_dir, settings.audio_dir, EXPECTED)
        tracks_of_split = _divide(accepted, split_of)
        ids_of_split = {
            split: [(manifest_path(track), plan.ids[track.source.path]) for track in members]
            for split, members in tracks_of_split.items()
        }
        write_outputs(out_dir, tracks_of_split, MANIFEST_SPLITS.values(), settings, MADE_BY, asdict(choice))
        _write_genres(out_dir / GENRES_DIR, fma, ids_of_split, fma.select(choice.subset).index)
        _write_attribution(out_dir / ATTRIBUTION_FILE, fma, ids_of_split)
        journal.rewrite(examined)
    summary = Summary.of(tracks_of_split, rejects, 0, settings.sample_rate, resumed, time.monotonic() - started)
    tops = fma.tracks["track", "genre_top"]
    without = sum(not isinstance(tops[track_id], str) for ids in ids_of_split.values() for _, track_id in ids)
    return FMASummary(**asdict(summary), without_top_genre=without, other_tracks=plan.other_tracks)


def _divide(tracks: list[Track], split_of: dict[str, str]) -> dict[str, list[Track]]:
    """The tracks of each split that has any, in the order of their paths in the manifest."""
    divided: dict[str, list[Track]] = {}
    for split in MANIFEST_SPLITS.values():
        if members := [track for track in tracks if split_of[track.source.path] == split]:
            divided[split] = sorted(members, key=manifest_path)
    return divided


def _reject_duplicates(tracks: list[Track], split_of: dict[str, str]) -> list[Track]:
    """Of tracks with equal audio, keep the first by split (DUPLICATE_PRIORITY) and then by path."""
    return reject_duplicates(
        tracks,
        order=lambda track: (DUPLICATE_PRIORITY.index(split_of[track.source.path]), track.source.path),
        describe=lambda path: f"{path} of {split_of[path]}",
    )


def _genre_labels(fma: FMA) -> dict[str, dict[int, list[int]]]:
    """Genre ids of every track for each of LABELS. genre_top is empty where a track has several roots."""
    root_of_title = {fma.tree.titles[root]: root for root in fma.tree.roots}
    tracks = fma.tracks["track"]
    tops = {
        track_id: [root_of_title[top]] if isinstance(top, str) else [] for track_id, top in tracks["genre_top"].items()
    }
    return {"genre_top": tops, **{label: dict(tracks[label].items()) for label in LABELS[1:]}}


def _write_genres(
    folder: Path, fma: FMA, tracks_of_split: dict[str, list[ManifestTrack]], possible: Iterable[int]
) -> None:
    """Write ``{split}.{label}`` with genre ids separated by blanks, ``dict.{label}.txt``, and genres.tsv.

    Args:
        folder: gets the files.
        fma: the tables.
        tracks_of_split: of each split, in the order of the manifest.
        possible: ids of the tracks whose genres are in the dictionaries: the whole chosen subset, so that a file that
            cannot be decoded does not change the class numbers.
    """
    track_ids = list(possible)
    for label, genres_of in _genre_labels(fma).items():
        dictionary = sorted({genre for track_id in track_ids for genre in genres_of[track_id]})
        genres_of_split = {
            split: [genres_of[track_id] for _, track_id in tracks] for split, tracks in tracks_of_split.items()
        }
        write_genre_labels(folder, label, genres_of_split, dictionary)
    tree = fma.tree
    write_titles(
        folder, ((genre, title, tree.root(genre), tree.title_path(genre)) for genre, title in tree.titles.items())
    )


def _write_attribution(path: Path, fma: FMA, tracks_of_split: dict[str, list[ManifestTrack]]) -> None:
    """Write the artist and the licence of each track, as nearly all of the licences require."""
    columns = [("track", "title"), ("artist", "name"), ("album", "title"), ("track", "license")]
    texts = fma.tracks[columns].astype(object)
    lines = ["\t".join(ATTRIBUTION_COLUMNS)]
    for split, tracks in tracks_of_split.items():
        rows = texts.loc[[track_id for _, track_id in tracks]].itertuples(index=False, name=None)
        for (path_in_manifest, track_id), (title, artist, album, licence) in zip(tracks, rows, strict=True):
            cells = [title, artist, album, parse_licence(licence).code, licence]
            cells = [escape(cell) if isinstance(cell, str) else "" for cell in cells]
            lines.append("\t".join([split, escape(path_in_manifest), str(track_id), *cells]))
    write_lines(path, lines)
