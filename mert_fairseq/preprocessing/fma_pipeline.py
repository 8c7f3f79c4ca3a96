"""FMA's tables and audio to manifests of a subset in its official splits, genre labels, rejects and attribution."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from mert_fairseq.fma.constants import MANIFEST_SPLITS
from mert_fairseq.fma.corpus import FMA
from mert_fairseq.labels.genre_labels import GENRES_DIR
from mert_fairseq.preprocessing.converted_folder import converted_folder
from mert_fairseq.preprocessing.duplicates import reject_duplicates
from mert_fairseq.preprocessing.examine_files import Progress, check_settings, examine_all, resolve_folders
from mert_fairseq.preprocessing.examine_track import Settings, Track
from mert_fairseq.preprocessing.fma_labels import ATTRIBUTION_FILE, write_attribution, write_genres
from mert_fairseq.preprocessing.fma_selection import Choice, Plan, plan_tracks
from mert_fairseq.preprocessing.journal import JOURNAL_FILE, Journal
from mert_fairseq.preprocessing.rejects import REJECTS_FILE, NoTracksError, Reject, write_rejects
from mert_fairseq.preprocessing.scan import scan_folder
from mert_fairseq.preprocessing.summary import Summary
from mert_fairseq.preprocessing.tracks_table import TRACKS_FILE, manifest_path, write_split, write_tracks

MADE_BY = "preprocess/prepare_fma.py"
SMALL = Choice()
PLANNED_REJECTS_FILE = "planned_rejects.tsv"  # apart from rejects.tsv, which tells of the run that made the manifests
EXPECTED = "Expected files such as 000/000002.mp3 below it. "
KEEP_FIRST = ("test", "valid", "train")  # of equal audio: what is tested on must not be trained on


@dataclass(frozen=True)
class FMASummary(Summary):
    """What `prepare_fma` did.

    Attributes:
        without_top_genre: tracks of the manifests that have genres of several roots.
        other_tracks: files of tracks outside the chosen subset and splits.
    """

    without_top_genre: int
    other_tracks: int

    def __str__(self) -> str:
        notes = f"{self.other_tracks} files of other subsets or splits left alone; " if self.other_tracks else ""
        top = f"{self.without_top_genre} tracks without a top genre; " if self.without_top_genre else ""
        return notes + top + super().__str__()


def plan_fma(fma: FMA, out_dir: Path, settings: Settings, choice: Choice) -> Plan:
    """What `prepare_fma` would examine, from the tables and file names alone; writes planned_rejects.tsv.

    Raises:
        TableError: if tracks.csv or genres.csv is damaged.
        NoTracksError: if the folder holds no wanted track.
        ValueError: if a choice is unknown, the tables do not belong together, or folders lie in each other's way.
    """
    settings, plan = _plan(fma, out_dir, settings, choice)
    out_dir.mkdir(parents=True, exist_ok=True)
    write_rejects(out_dir / PLANNED_REJECTS_FILE, plan.rejects)
    if not plan.tracks:
        raise NoTracksError.of(settings.audio_dir, plan.rejects, PLANNED_REJECTS_FILE, EXPECTED)
    return plan


def _plan(fma: FMA, out_dir: Path, settings: Settings, choice: Choice) -> tuple[Settings, Plan]:
    """The settings with absolute folders, and what they and the choice make of the audio folder."""
    fma.check_genres()
    settings = resolve_folders(settings)
    own = [path for path in (out_dir.resolve(), settings.convert_to) if path and path != settings.audio_dir]
    return settings, plan_tracks(fma, scan_folder(settings.audio_dir, skip=own), settings, choice)


def prepare_fma(
    fma: FMA,
    out_dir: Path,
    settings: Settings,
    choice: Choice = SMALL,
    workers: int = 1,
    report: Callable[[Progress], None] = lambda progress: None,
) -> FMASummary:
    """Examine and convert the tracks of a subset, and write everything that training needs but frame labels.

    The same tables, files and settings give the same bytes, whatever the number of workers. A run that was killed goes
    on where it stopped.

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
        ValueError: if an option is unknown, the tables do not belong together, folders lie in each other's way, or that
            of converted files is another data set's.
        BlockingIOError: if another run is writing to ``out_dir`` or to the folder of converted files.
    """
    started = time.monotonic()
    check_settings(settings, workers)
    out_dir = out_dir.resolve()
    settings, plan = _plan(fma, out_dir, settings, choice)
    with converted_folder(settings), Journal(out_dir / JOURNAL_FILE, settings) as journal:
        examined, resumed = examine_all(plan.tracks, settings, journal, workers, report)
        splits = {int(track_id): MANIFEST_SPLITS[split] for track_id, split in fma.tracks["set", "split"].items()}
        split_of = {path: splits[track_id] for path, track_id in plan.ids.items()}
        judged = examined if choice.keep_duplicates else _without_duplicates(examined, split_of)
        rejects = plan.rejects + [Reject(t.source.path, t.reason, t.detail) for t in judged if t.reason]
        write_rejects(out_dir / REJECTS_FILE, rejects)
        tracks_of_split = _divide([track for track in judged if track.reason is None], split_of)
        if not tracks_of_split:
            raise NoTracksError.of(settings.audio_dir, rejects, REJECTS_FILE, EXPECTED)
        ids_of_split = {
            split: [(manifest_path(track), plan.ids[track.source.path]) for track in tracks]
            for split, tracks in tracks_of_split.items()
        }
        _write(out_dir, fma, settings, choice, tracks_of_split, ids_of_split)
        journal.rewrite(examined)
    summary = Summary.of(tracks_of_split, rejects, 0, settings.sample_rate, resumed, time.monotonic() - started)
    tops = fma.tracks["track", "genre_top"]
    without = sum(not isinstance(tops[track_id], str) for ids in ids_of_split.values() for _, track_id in ids)
    return FMASummary(**asdict(summary), without_top_genre=without, other_tracks=plan.other_tracks)


def _write(
    out_dir: Path,
    fma: FMA,
    settings: Settings,
    choice: Choice,
    tracks_of_split: dict[str, list[Track]],
    ids_of_split: dict[str, list[tuple[str, int]]],
) -> None:
    for split in MANIFEST_SPLITS.values():
        write_split(out_dir / f"{split}.tsv", tracks_of_split.get(split, []), settings, MADE_BY, asdict(choice))
    write_tracks(out_dir / TRACKS_FILE, tracks_of_split)
    write_genres(out_dir / GENRES_DIR, fma, ids_of_split, fma.select(choice.subset).index)
    write_attribution(out_dir / ATTRIBUTION_FILE, fma, ids_of_split)


def _divide(tracks: list[Track], split_of: dict[str, str]) -> dict[str, list[Track]]:
    """Tracks of each split that has any, in the order of their paths in the manifest."""
    divided: dict[str, list[Track]] = {}
    for split in MANIFEST_SPLITS.values():
        if chosen := [track for track in tracks if split_of[track.source.path] == split]:
            divided[split] = sorted(chosen, key=manifest_path)
    return divided


def _without_duplicates(tracks: list[Track], split_of: dict[str, str]) -> list[Track]:
    """Of tracks with equal audio keep one: that of test before valid before train, then that of the lowest path."""
    return reject_duplicates(
        tracks,
        order=lambda track: (KEEP_FIRST.index(split_of[track.source.path]), track.source.path),
        describe=lambda path: f"{path} of {split_of[path]}",
    )
