"""From any folder of music to manifests: scan, examine and convert every file, split by album, write."""

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mert_fairseq.preprocessing.converted_files import converted_folder, name_problem
from mert_fairseq.preprocessing.examine_files import Progress, examine_all
from mert_fairseq.preprocessing.examine_track import Settings, Track
from mert_fairseq.preprocessing.outputs import Summary, manifest_path, write_outputs
from mert_fairseq.preprocessing.pipeline_steps import (
    check_settings,
    reject_duplicates,
    scan_sources,
    separate_rejects,
    tracks_to_examine,
)
from mert_fairseq.preprocessing.reject_reasons import REMEDIES, Reason
from mert_fairseq.preprocessing.scan import Source
from mert_fairseq.preprocessing.track_journal import JOURNAL_FILE, Journal

SPLITS = ("train", "valid")
MADE_BY = "preprocess/make_manifest.py"


@dataclass(frozen=True)
class Split:
    """How tracks are divided: share to hold out, seed of the draw, and what stays together (see `group_of`)."""

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
    """Examine every file below ``settings.audio_dir``, and write manifests, rejects.tsv and tracks.tsv.

    The same files, settings and split produce the same bytes for any number of workers. After an interruption, the same
    call resumes.

    Args:
        out_dir: gets {train,valid}.tsv and .json, rejects.tsv, tracks.tsv and the journal.
        settings: of examination and conversion.
        split: how tracks are divided.
        workers: processes.
        report: called after each file.

    Raises:
        NoTracksError: if no file is accepted.
        ValueError: if the split is impossible, or if the folder of converted files contains the sources or belongs to
            another data set.
        BlockingIOError: if another run is writing to ``out_dir`` or to the folder of converted files.
    """
    started = time.monotonic()
    check_split(split.valid_fraction, split.group_by)
    check_settings(settings, workers)
    out_dir = out_dir.resolve()
    settings, scan = scan_sources(out_dir, settings)
    planned = _plan(scan.sources, settings)
    with converted_folder(settings), Journal(out_dir / JOURNAL_FILE, settings) as journal:
        examined, resumed = examine_all(planned, settings, journal, workers, report)
        tracks = reject_duplicates(examined)
        accepted, rejects = separate_rejects(tracks, scan.rejects, out_dir, settings.audio_dir)
        tracks_of_split = _divide(accepted, split)
        write_outputs(out_dir, tracks_of_split, SPLITS, settings, MADE_BY, vars(split))
        journal.rewrite(examined)
        _delete_duplicates(tracks, settings.convert_to)
    elapsed_seconds = time.monotonic() - started
    return Summary.of(tracks_of_split, rejects, scan.other_files, settings.sample_rate, resumed, elapsed_seconds)


def _plan(sources: list[Source], settings: Settings) -> list[Track]:
    """The tracks to examine; without conversion, those whose names a manifest cannot hold are rejects already."""
    tracks = tracks_to_examine(sources, settings)
    if settings.convert_to is not None:
        return tracks
    return [
        replace(track, reason=Reason.UNSAFE_NAME, detail=f"{problem}; {REMEDIES[Reason.UNSAFE_NAME]}")
        if (problem := name_problem(track.source.path))
        else track
        for track in tracks
    ]


def _delete_duplicates(tracks: list[Track], convert_to: Path | None) -> None:
    """Delete converted files that no manifest lists."""
    for track in tracks:
        if convert_to is not None and track.destination is not None and track.reason is Reason.DUPLICATE:
            (convert_to / track.destination).unlink(missing_ok=True)


def _divide(tracks: list[Track], split: Split) -> dict[str, list[Track]]:
    """The tracks of each split, in the order of their paths in the manifest."""
    held_out = held_out_groups(
        {track.source.path: track.samples for track in tracks}, split.valid_fraction, split.seed, split.group_by
    )
    divided: dict[str, list[Track]] = {"train": [], "valid": []} if held_out else {"train": []}
    for track in sorted(tracks, key=manifest_path):
        divided["valid" if group_of(track.source.path, split.group_by) in held_out else "train"].append(track)
    return divided


def group_of(path: str, group_by: str) -> str:
    """The group of a track; a group stays in one split.

    Args:
        path: relative, with ``/``.
        group_by: ``folder``, the parent folder; ``file``, the track itself; or a number N, the first N folders of the
            path (1: the artist in artist/album/track). A track directly in the root is its own group.
    """
    folders = PurePosixPath(path).parent.parts
    if group_by == "file" or not folders:
        return path
    if group_by == "folder":
        return "/".join(folders) + "/"
    return "/".join(folders[: int(group_by)]) + "/"


def check_split(valid_fraction: float, group_by: str) -> None:
    """Check the options of the split.

    Raises:
        ValueError: naming the option.
    """
    if not 0 <= valid_fraction < 1:
        raise ValueError(f"--valid-fraction is {valid_fraction:g}, expected a share from 0 to below 1, such as 0.02.")
    if group_by not in ("folder", "file") and not (group_by.isdecimal() and int(group_by) > 0):
        raise ValueError(
            f"--group-by is {group_by!r}, expected 'folder', 'file' or a number of folders from the top such as 1."
        )


def held_out_groups(samples_of_path: dict[str, int], valid_fraction: float, seed: int, group_by: str) -> set[str]:
    """Draw the groups whose tracks go to ``valid``.

    The order of the groups depends only on the seed and their names. In that order, each group is held out if it still
    fits into the share. If none fits, the shortest group is held out.

    Args:
        samples_of_path: length of each track, in samples.
        valid_fraction: share of the samples to hold out; 0 for none.
        seed: of the order.
        group_by: see `group_of`.

    Raises:
        ValueError: if all tracks are in one group.
    """
    samples_of_group: dict[str, int] = defaultdict(int)
    for path, samples in samples_of_path.items():
        samples_of_group[group_of(path, group_by)] += samples
    if valid_fraction == 0:
        return set()
    if len(samples_of_group) < 2:
        raise ValueError(
            f"all {len(samples_of_path)} tracks belong to {next(iter(samples_of_group), 'no group')!r}, so none can be "
            f"held out without splitting it. Use --group-by file to split it, or --valid-fraction 0 for no valid.tsv."
        )
    allowed = valid_fraction * sum(samples_of_path.values())
    chosen: set[str] = set()
    held_out = 0
    for group in sorted(samples_of_group, key=lambda name: _draw(name, seed)):
        if held_out + samples_of_group[group] <= allowed:
            chosen.add(group)
            held_out += samples_of_group[group]
    return chosen or {min(samples_of_group, key=lambda name: (samples_of_group[name], _draw(name, seed)))}


def _draw(group: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}:{group}".encode("utf-8", "surrogateescape"), digest_size=16).digest()
