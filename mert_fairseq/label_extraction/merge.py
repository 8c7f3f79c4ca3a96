"""Merge the parts of a job into label files, dictionaries and a sidecar."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib.metadata import version
from typing import Any

import numpy as np

from mert_fairseq.frames import num_label_frames
from mert_fairseq.jobs.rejects import listed, write_rejects
from mert_fairseq.label_extraction.code_usage import CodeStatistics
from mert_fairseq.label_extraction.label_job import LabelJob, LabelJobError, rejects_error
from mert_fairseq.label_extraction.part_journal import JournalEntry, Part, journal_header, read_journal
from mert_fairseq.label_extraction.part_store import (
    DISK_FULL_ERRORS,
    disk_full_error,
    part_base,
    part_lock,
    parts_in,
    read_codes,
)
from mert_fairseq.label_extraction.preflight import (
    check_dictionary_users,
    check_existing_form,
    counts_another_split,
    finished_sidecar,
    stale_columns,
)
from mert_fairseq.labels import PackedWriter, TextWriter, write_dictionary
from mert_fairseq.labels.packed_index import files_to_replace, remove_packed, replacing_packed
from mert_fairseq.labels.provenance import remove_from_sidecars, write_sidecar

TOOLS = ("numpy", "torch", "scikit-learn", "encodec")
Entries = Mapping[Part, Mapping[str, JournalEntry]]


def merge_parts(job: LabelJob) -> dict[str, Any]:
    """Write the labels of a split from its parts, then remove the parts.

    The sidecar is written last: where it exists, the labels are complete.

    Returns:
        The sidecar.

    Raises:
        LabelJobError: if a part is missing, unfinished, in use or there twice; a track was rejected (see the table of
            rejects); the dictionaries belong to labels of another teacher; or the disk is full.
    """
    if finished := finished_sidecar(job):
        shutil.rmtree(job.parts_dir, ignore_errors=True)  # an earlier merge may have been killed before this
        return finished
    if not job.parts_dir.is_dir():
        check_existing_form(job)
        raise LabelJobError(f"{job.parts_dir}: found no parts to merge. Label the split first (apply).")
    check_dictionary_users(job)
    parts = _complete_parts(job)
    with ExitStack() as stack:
        for part in parts:
            stack.enter_context(part_lock(job.parts_dir, part))
        entries = {part: _read_entries(job, part) for part in parts}
        _check_complete(job, entries)
        try:
            sidecar = _write_labels(job, entries)
        except OSError as error:
            if error.errno in DISK_FULL_ERRORS:
                raise disk_full_error(job.label_dir, error) from error
            raise
        job.rejects_path.unlink(missing_ok=True)
        shutil.rmtree(job.parts_dir)
    return sidecar


def _complete_parts(job: LabelJob) -> list[Part]:
    """List the parts; raise unless they are parts 0 to n - 1 of one n."""
    found = list(parts_in(job.parts_dir))
    counts = Counter(part.count for part in found)
    if len(counts) > 1:
        raise LabelJobError(
            f"{job.parts_dir}: found parts {', '.join(map(str, found))}, expected parts of one division: tracks would "
            f"be there twice. Delete the files of the division that you do not want."
        )
    count = next(iter(counts), 1)
    missing = [str(part) for index in range(count) if (part := Part(index, count)) not in found]
    if missing:
        raise LabelJobError(
            f"{job.parts_dir}: missing {listed(missing)} of {count} parts. Run each (apply --shard i/{count}), then "
            f"merge again."
        )
    return found


def _read_entries(job: LabelJob, part: Part) -> dict[str, JournalEntry]:
    """Read a part's entries; entries of tracks that the manifest no longer lists are never looked up."""
    path = part_base(job.parts_dir, part).with_suffix(".journal")
    return read_journal(path, journal_header(job.teacher_identity, part))[0]


def _check_complete(job: LabelJob, entries: Entries) -> None:
    """Raise if a track was rejected or has no codes; write the table of rejects."""
    tracks = {part: part.tracks(job.manifest.samples) for part in entries}
    rejects = {
        job.manifest.paths[track]: entry.reject_reason
        for part in entries
        for track in tracks[part]
        if (entry := entries[part].get(job.track_line(track))) and entry.reject_reason
    }
    if rejects:
        write_rejects(job.rejects_path, ("path", "reason"), rejects.items())
        raise rejects_error(job.rejects_path, rejects.values())
    for part in entries:
        missing = sum(job.track_line(track) not in entries[part] for track in tracks[part])
        if missing:
            raise LabelJobError(
                f"{part_base(job.parts_dir, part)}.journal: lacks {missing} of {len(tracks[part])} tracks: the job was "
                f"stopped, or the manifest changed. Run apply --shard {part} again."
            )


def _write_labels(job: LabelJob, entries: Entries) -> dict[str, Any]:
    """Write label files, dictionaries and, last, the sidecar; returns the sidecar."""
    _remove_stale(job)
    job.sidecar_path.unlink(missing_ok=True)
    remove_from_sidecars(job.label_dir, job.split, job.columns)
    statistics = CodeStatistics(job.teacher.codebook_sizes)
    with replacing_packed(job.label_dir, job.split, job.columns, job.packed_prefix), ExitStack() as stack:
        writers: list[Any] = []
        if job.file_format in ("text", "both"):
            writers.append(stack.enter_context(TextWriter(job.label_dir, job.split, job.columns)))
        if job.packed_prefix:
            packed = PackedWriter(job.packed_prefix, job.columns, job.teacher.label_rate_hz, job.identity)
            writers.append(stack.enter_context(packed))
        for codes in _all_codes(job, entries):
            statistics.add(codes)
            for writer in writers:
                writer.append(codes)
    if job.file_format == "packed":
        for column in job.columns:
            job.text_path(column).unlink(missing_ok=True)
    keep = counts_another_split(job)
    for column, counts in zip(job.columns, statistics.counts, strict=True):
        if not (keep and job.dictionary_path(column).is_file()):
            write_dictionary(job.dictionary_path(column), counts)
    sidecar = _sidecar(job, statistics, dictionaries=not keep)
    write_sidecar(job.sidecar_path, sidecar)
    return sidecar


def _remove_stale(job: LabelJob) -> None:
    """Remove labels that only the earlier teacher made. The sidecar lists them, so this comes before its removal."""
    stale = stale_columns(job)
    if stale:
        for prefix in files_to_replace(job.label_dir, job.split, [*job.columns, *stale], job.packed_prefix):
            remove_packed(prefix)
    for column in stale:
        job.text_path(column).unlink(missing_ok=True)
        job.dictionary_path(column).unlink(missing_ok=True)


def _all_codes(job: LabelJob, entries: Entries) -> Iterator[np.ndarray]:
    """Yield the codes of all tracks in the manifest's order, each (frames, Q) uint16."""
    teacher = job.teacher
    for part in sorted(entries):
        path = part_base(job.parts_dir, part).with_suffix(".codes")
        with path.open("rb") as file:
            for track in part.tracks(job.manifest.samples):
                codes = read_codes(file, entries[part][job.track_line(track)], len(teacher.codebook_sizes))
                samples = int(job.manifest.samples[track])
                expected = num_label_frames(samples, teacher.sample_rate, teacher.label_rate_hz)
                if codes is None or len(codes) != expected:
                    raise LabelJobError(
                        f"{path}: the codes of {job.manifest.paths[track]} are damaged. Run apply --shard {part} "
                        f"again to make them again."
                    )
                yield codes


def _sidecar(job: LabelJob, statistics: CodeStatistics, dictionaries: bool) -> dict[str, Any]:
    """The record of finished labels; ``dictionaries`` says whether the dictionaries hold the counts of this split."""
    from mert_fairseq import __version__

    return {
        "job": job.identity,
        "format": job.file_format,
        "columns": list(job.columns),
        "dictionaries": dictionaries,
        "frames": statistics.frames,
        "hours": round(int(job.manifest.samples.sum()) / job.teacher.sample_rate / 3600, 4),
        "codebooks": statistics.summary(job.teacher.label_rate_hz),
        "tools": {"mert_fairseq": __version__, **{name: version(name) for name in TOOLS}},
    }
