"""From any folder of music to manifests: scan, examine and convert every file, split by album, write."""

import functools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mert_fairseq.ingest.journal import JOURNAL_FILE, Journal
from mert_fairseq.ingest.names import name_problem, safe_destinations
from mert_fairseq.ingest.pool import Died, run_tasks
from mert_fairseq.ingest.reasons import REMEDIES, Reason
from mert_fairseq.ingest.rejects import REJECTS_FILE, Reject, write_rejects
from mert_fairseq.ingest.scan import Scan, scan_folder
from mert_fairseq.ingest.split import check_split, group_of, held_out_groups
from mert_fairseq.ingest.summary import Summary
from mert_fairseq.ingest.track import Settings, Track, examine
from mert_fairseq.ingest.tracks import TRACKS_FILE, manifest_path, write_tracks
from mert_fairseq.manifest import Manifest

SPLITS = ("train", "valid")


class NoTracksError(ValueError):
    """A folder from which no track can be taken: the message counts why."""


@dataclass(frozen=True)
class Split:
    """How tracks are divided: share to hold out, seed of the draw, and what stays together (see `split.group_of`)."""

    valid_fraction: float = 0.02
    seed: int = 0
    group_by: str = "folder"


@dataclass(frozen=True)
class Progress:
    """The state of a run after a file: files and source bytes done and in all, seconds of audio, files refused."""

    files: int
    total_files: int
    done_bytes: int
    total_bytes: int
    seconds: float
    rejects: int


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
        ValueError: if the split cannot be made, or folders lie in each other's way.
        BlockingIOError: if another run is writing to ``out_dir``.
    """
    started = time.monotonic()
    _check_options(settings, split, workers)
    settings = _resolved(settings)
    out_dir = out_dir.resolve()
    own = [path for path in (out_dir, settings.convert_to) if path and path != settings.audio_dir]
    scan = scan_folder(settings.audio_dir, skip=own)
    planned = _plan(scan, settings)
    with Journal(out_dir / JOURNAL_FILE, settings) as journal:
        _sweep(settings.convert_to)
        tracks, resumed = _examine_all(planned, settings, journal, workers, report)
        accepted = _without_duplicates(tracks)
        rejects = scan.rejects + [Reject(t.source.path, t.reason, t.detail) for t in accepted if t.reason]
        write_rejects(out_dir / REJECTS_FILE, rejects)
        tracks_of_split = _divide([track for track in accepted if track.reason is None], split, rejects)
        for name in SPLITS:
            _write_split(out_dir / f"{name}.tsv", tracks_of_split.get(name, []), settings, split)
        write_tracks(out_dir / TRACKS_FILE, tracks_of_split)
        journal.rewrite(tracks)
        _delete_duplicates(accepted, settings.convert_to)
    return Summary.of(
        tracks_of_split, rejects, scan.other_files, settings.sample_rate, resumed, time.monotonic() - started
    )


def _check_options(settings: Settings, split: Split, workers: int) -> None:
    """Refuse options that cannot work before the hours of decoding."""
    check_split(split.valid_fraction, split.group_by)
    for name, value in (("--workers", workers), ("--sample-rate", settings.sample_rate)):
        if value < 1:
            raise ValueError(f"{name} is {value}, expected a positive number.")
    if not 0 <= settings.limits.max_clipped_share <= 1:
        raise ValueError(f"--max-clipped-share is {settings.limits.max_clipped_share:g}, expected a share from 0 to 1.")


def _resolved(settings: Settings) -> Settings:
    """Absolute folders; the one for converted files exists."""
    audio_dir = settings.audio_dir.resolve()
    if settings.convert_to is None:
        return replace(settings, audio_dir=audio_dir)
    convert_to = settings.convert_to.resolve()
    if convert_to == audio_dir or convert_to in audio_dir.parents:
        raise ValueError(
            f"--convert-to {convert_to} is, or holds, the folder of sources {audio_dir}, and converted files would mix "
            f"with them. Give another folder."
        )
    convert_to.mkdir(parents=True, exist_ok=True)
    return replace(settings, audio_dir=audio_dir, convert_to=convert_to)


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


def _examine_all(
    planned: list[Track], settings: Settings, journal: Journal, workers: int, report: Callable[[Progress], None]
) -> tuple[list[Track], int]:
    """All tracks with their outcome, in the order of their sources, and how many the journal knew."""
    done = {track.source.path: track for track in planned if track.reason}
    unjudged = [track for track in planned if not track.reason]
    known = journal.finished(unjudged)
    waiting = [track for track in unjudged if track.source.path not in known]
    waiting.sort(key=lambda track: (-track.source.size_bytes, track.source.path))  # so that no long file comes last
    done |= known
    progress = _Tally(planned, report)
    for track in done.values():
        progress.add(track)
    progress.show()
    tasks = ((track.source, track.destination) for track in waiting)
    for (source, destination), answer in run_tasks(functools.partial(examine, settings=settings), tasks, workers):
        if isinstance(answer, Died):
            detail = f"exit code {answer.exit_code} while decoding; {REMEDIES[Reason.DECODER_DIED]}"
            answer = Track(source, destination, Reason.DECODER_DIED, detail)
        journal.add(answer)
        done[source.path] = answer
        progress.add(answer)
        progress.show()
    return [done[track.source.path] for track in planned], len(known)


class _Tally:
    """Adds up what is done for the progress display."""

    def __init__(self, planned: list[Track], report: Callable[[Progress], None]) -> None:
        self.report = report
        self.state = Progress(0, len(planned), 0, sum(track.source.size_bytes for track in planned), 0.0, 0)

    def add(self, track: Track) -> None:
        self.state = replace(
            self.state,
            files=self.state.files + 1,
            done_bytes=self.state.done_bytes + track.source.size_bytes,
            seconds=self.state.seconds + track.seconds,
            rejects=self.state.rejects + (track.reason is not None),
        )

    def show(self) -> None:
        self.report(self.state)


def _without_duplicates(tracks: list[Track]) -> list[Track]:
    """Keep the first of equal audio, by the order of paths, and give the others a reason."""
    first: dict[str, str] = {}
    judged = []
    for track in tracks:
        if track.reason is None and (kept := first.setdefault(track.digest, track.source.path)) != track.source.path:
            track = replace(track, reason=Reason.DUPLICATE, detail=f"the same audio as {kept}")
        judged.append(track)
    return judged


def _delete_duplicates(tracks: list[Track], convert_to: Path | None) -> None:
    """Take converted files that no manifest lists out of the folder."""
    for track in tracks:
        if convert_to is not None and track.destination is not None and track.reason is Reason.DUPLICATE:
            (convert_to / track.destination).unlink(missing_ok=True)


def _divide(tracks: list[Track], split: Split, rejects: list[Reject]) -> dict[str, list[Track]]:
    """Tracks of each split, in the order of their paths in the manifest."""
    if not tracks:
        counts = Counter(reject.reason for reject in rejects)
        found = ", ".join(f"{count} {reason} ({REMEDIES[reason]})" for reason, count in counts.most_common())
        raise NoTracksError(f"no file was accepted: {found or 'there is no audio in the folder'}. See {REJECTS_FILE}.")
    held_out = held_out_groups(
        {track.source.path: track.samples for track in tracks}, split.valid_fraction, split.seed, split.group_by
    )
    divided: dict[str, list[Track]] = {"train": [], "valid": []} if held_out else {"train": []}
    for track in sorted(tracks, key=manifest_path):
        divided["valid" if group_of(track.source.path, split.group_by) in held_out else "train"].append(track)
    return divided


def _write_split(tsv: Path, tracks: list[Track], settings: Settings, split: Split) -> None:
    """Write a manifest and its sidecar, or take away those of an earlier run if the split is empty now."""
    if not tracks:
        tsv.unlink(missing_ok=True)
        tsv.with_suffix(".json").unlink(missing_ok=True)
        return
    scaled = [track.gain for track in tracks if track.gain < 1]
    Manifest(
        root=settings.convert_to or settings.audio_dir,
        paths=[manifest_path(track) for track in tracks],
        samples=np.array([track.samples for track in tracks], dtype=np.int64),
        sample_rate=settings.sample_rate,
        settings={
            "made_by": "preprocess/make_manifest.py",
            "converted_to": settings.file_format if settings.convert_to else None,
            "limits": vars(settings.limits),
            "split": vars(split),
            "tracks_above_full_scale": sum(track.peak > 1 for track in tracks),
            "tracks_scaled_down": len(scaled),
            "smallest_gain": round(min(scaled, default=1.0), 6),
        },
    ).write(tsv)


def _sweep(folder: Path | None) -> None:
    """Delete what a killed run was writing."""
    for leftover in folder.rglob(".*.partial") if folder else ():
        leftover.unlink(missing_ok=True)
