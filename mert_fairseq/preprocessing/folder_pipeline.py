"""From any folder of music to manifests: scan, examine and convert every file, split by album, write."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mert_fairseq.preprocessing.converted_folder import converted_folder
from mert_fairseq.preprocessing.duplicates import reject_duplicates
from mert_fairseq.preprocessing.examine_files import Progress, check_settings, examine_all, resolve_folders
from mert_fairseq.preprocessing.examine_track import Settings, Track
from mert_fairseq.preprocessing.integrity.reasons import REMEDIES, Reason
from mert_fairseq.preprocessing.journal import JOURNAL_FILE, Journal
from mert_fairseq.preprocessing.rejects import REJECTS_FILE, NoTracksError, Reject, write_rejects
from mert_fairseq.preprocessing.safe_names import name_problem, safe_destinations
from mert_fairseq.preprocessing.scan import Scan, scan_folder
from mert_fairseq.preprocessing.split import check_split, group_of, held_out_groups
from mert_fairseq.preprocessing.summary import Summary
from mert_fairseq.preprocessing.tracks_table import TRACKS_FILE, manifest_path, write_split, write_tracks

SPLITS = ("train", "valid")
MADE_BY = "preprocess/make_manifest.py"


@dataclass(frozen=True)
class Split:
    """How tracks are divided: share to hold out, seed of the draw, and what stays together (see `split.group_of`)."""

    valid_fraction: float = 0.02
    seed: int = 0
    group_by: str = "folder"


def build_manifests(
    out_dir: Path,
    settings: Settings,
    split: Split = Split(),
    workers: int = 1,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Summary:
    """Examine every file below ``settings.audio_dir`` and write manifests, rejects and the table of tracks.

    The same files, settings and split give the same bytes, whatever the number of workers. A run that was killed
    goes on where it stopped.

    Args:
        out_dir: gets {train,valid}.tsv and .json, rejects.tsv, tracks.tsv and the journal.
        workers: processes.
        report: called after each file.

    Raises:
        NoTracksError: if no file is accepted.
        ValueError: if the split cannot be made, folders lie in each other's way, or that of converted files is another
            data set's.
        BlockingIOError: if another run is writing to ``out_dir`` or to the folder of converted files.
    """
    started = time.monotonic()
    check_split(split.valid_fraction, split.group_by)
    check_settings(settings, workers)
    settings = resolve_folders(settings)
    out_dir = out_dir.resolve()
    own = [path for path in (out_dir, settings.convert_to) if path and path != settings.audio_dir]
    scan = scan_folder(settings.audio_dir, skip=own)
    planned = _plan(scan, settings)
    with converted_folder(settings), Journal(out_dir / JOURNAL_FILE, settings) as journal:
        tracks, resumed = examine_all(planned, settings, journal, workers, report)
        accepted = reject_duplicates(tracks)
        rejects = scan.rejects + [Reject(t.source.path, t.reason, t.detail) for t in accepted if t.reason]
        write_rejects(out_dir / REJECTS_FILE, rejects)
        kept = [track for track in accepted if track.reason is None]
        if not kept:
            raise NoTracksError.of(settings.audio_dir, rejects, REJECTS_FILE)
        tracks_of_split = _divide(kept, split)
        for name in SPLITS:
            write_split(out_dir / f"{name}.tsv", tracks_of_split.get(name, []), settings, MADE_BY, vars(split))
        write_tracks(out_dir / TRACKS_FILE, tracks_of_split)
        journal.rewrite(tracks)
        _delete_duplicates(accepted, settings.convert_to)
    return Summary.of(
        tracks_of_split, rejects, scan.other_files, settings.sample_rate, resumed, time.monotonic() - started
    )


def _plan(scan: Scan, settings: Settings) -> list[Track]:
    """A blank track for each source, with its destination or, where its name cannot stand, the reason."""
    if settings.convert_to is not None:
        suffix = f".{settings.file_format}"
        destinations = safe_destinations((source.path for source in scan.sources), suffix)
        return [Track(source, destinations[source.path]) for source in scan.sources]
    tracks = []
    for source in scan.sources:
        problem = name_problem(source.path)
        reason, detail = (Reason.UNSAFE_NAME, f"{problem}; {REMEDIES[Reason.UNSAFE_NAME]}") if problem else (None, "")
        tracks.append(Track(source, reason=reason, detail=detail))
    return tracks


def _delete_duplicates(tracks: list[Track], convert_to: Path | None) -> None:
    """Take converted files that no manifest lists out of the folder."""
    for track in tracks:
        if convert_to is not None and track.destination is not None and track.reason is Reason.DUPLICATE:
            (convert_to / track.destination).unlink(missing_ok=True)


def _divide(tracks: list[Track], split: Split) -> dict[str, list[Track]]:
    """Tracks of each split, in the order of their paths in the manifest."""
    held_out = held_out_groups(
        {track.source.path: track.samples for track in tracks}, split.valid_fraction, split.seed, split.group_by
    )
    divided: dict[str, list[Track]] = {"train": [], "valid": []} if held_out else {"train": []}
    for track in sorted(tracks, key=manifest_path):
        divided["valid" if group_of(track.source.path, split.group_by) in held_out else "train"].append(track)
    return divided
