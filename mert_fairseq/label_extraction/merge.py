"""All shards of a job into label files, dictionaries and a sidecar."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from mert_fairseq.frames import num_label_frames
from mert_fairseq.jobs.rejects import listed, write_rejects
from mert_fairseq.label_extraction.code_statistics import CodeStatistics
from mert_fairseq.label_extraction.label_job import LabelJob, LabelJobError, tracks_refused
from mert_fairseq.label_extraction.part_journal import Entry, journal_header, read_journal
from mert_fairseq.label_extraction.part_store import FULL, disk_full, part_lock, read_codes, shard_base, shards_in
from mert_fairseq.label_extraction.parts import Shard
from mert_fairseq.label_extraction.sidecar import (
    counted_elsewhere,
    read_sidecar,
    refuse_foreign_dictionary,
    refuse_other_form,
    stale_columns,
    write_sidecar,
)
from mert_fairseq.labels import PackedWriter, TextWriter, write_dictionary
from mert_fairseq.labels.packed_index import giving_way, remove_packed, replacing_packed
from mert_fairseq.labels.sidecars import forget_columns


def merge_shards(job: LabelJob) -> dict[str, Any]:
    """Write the labels of a split from its shards, then remove these; the sidecar comes last and vouches for the rest.

    Returns:
        The sidecar.

    Raises:
        LabelJobError: if a shard is missing, unfinished, at work or there twice, a track was refused (which the rejects
            file lists then), the dictionaries are those of another teacher's labels, or the disk is full.
    """
    if finished := read_sidecar(job):
        shutil.rmtree(job.parts_dir, ignore_errors=True)  # a kill came between the sidecar and this
        return finished
    if not job.parts_dir.is_dir():
        refuse_other_form(job)
        raise LabelJobError(f"{job.parts_dir}: no shard there. Label the split first (apply).")
    refuse_foreign_dictionary(job)
    shards = _complete_cut(job)
    with ExitStack() as stack:
        for shard in shards:
            stack.enter_context(part_lock(job.parts_dir, shard))
        entries = {shard: _read_entries(job, shard) for shard in shards}
        _refuse_incomplete(job, entries)
        try:
            sidecar = _write_labels(job, shards, entries)
        except OSError as error:
            if error.errno in FULL:
                raise disk_full(job.label_dir, error) from error
            raise
        job.rejects_path.unlink(missing_ok=True)
        shutil.rmtree(job.parts_dir)
    return sidecar


def _complete_cut(job: LabelJob) -> list[Shard]:
    """The shards, if they are exactly the parts of one cut."""
    found = list(shards_in(job.parts_dir))
    counts = Counter(shard.count for shard in found)
    if len(counts) > 1:
        raise LabelJobError(
            f"{job.parts_dir}: found shards {', '.join(map(str, found))}, expected those of one cut: tracks would be "
            f"doubled. Delete the files of the cut that you do not want."
        )
    count = next(iter(counts), 1)
    missing = [str(shard) for index in range(count) if (shard := Shard(index, count)) not in found]
    if missing:
        raise LabelJobError(
            f"{job.parts_dir}: missing {listed(missing)} of {count} shards. Run each (apply --shard i/{count}), then "
            f"merge again."
        )
    return found


def _read_entries(job: LabelJob, shard: Shard) -> dict[str, Entry]:
    """A shard's entries; those of tracks that the manifest no longer lists there do no harm."""
    path = shard_base(job.parts_dir, shard).with_suffix(".journal")
    return read_journal(path, journal_header(job.teacher_identity, shard))[0]


def _refuse_incomplete(job: LabelJob, entries: Mapping[Shard, Mapping[str, Entry]]) -> None:
    tracks = {shard: shard.tracks(job.manifest.samples) for shard in entries}
    refused = {
        job.manifest.paths[track]: entry.refused
        for shard in entries
        for track in tracks[shard]
        if (entry := entries[shard].get(job.track_line(track))) and entry.refused
    }
    if refused:
        write_rejects(job.rejects_path, ("path", "reason"), refused.items())
        raise tracks_refused(job.rejects_path, refused.values())
    for shard in entries:
        missing = sum(job.track_line(track) not in entries[shard] for track in tracks[shard])
        if missing:
            raise LabelJobError(
                f"{shard_base(job.parts_dir, shard)}.journal: lacks {missing} of {len(tracks[shard])} tracks: the job "
                f"was stopped, or the manifest changed. Run apply --shard {shard} again."
            )


def _write_labels(job: LabelJob, shards: list[Shard], entries: dict[Shard, dict[str, Entry]]) -> dict[str, Any]:
    _remove_stale(job)
    job.sidecar_path.unlink(missing_ok=True)
    forget_columns(job.label_dir, job.split, job.columns)
    statistics = CodeStatistics(job.teacher.codebook_sizes)
    with replacing_packed(job.label_dir, job.split, job.columns, job.packed_prefix), ExitStack() as stack:
        writers: list[Any] = []
        if job.file_format in ("text", "both"):
            writers.append(stack.enter_context(TextWriter(job.label_dir, job.split, job.columns)))
        if job.packed_prefix:
            packed = PackedWriter(job.packed_prefix, job.columns, job.teacher.label_rate_hz, job.identity)
            writers.append(stack.enter_context(packed))
        for codes in _all_codes(job, shards, entries):
            statistics.add(codes)
            for writer in writers:
                writer.append(codes)
    if job.file_format == "packed":
        for column in job.columns:
            job.text_path(column).unlink(missing_ok=True)
    keep = counted_elsewhere(job)
    for column, counts in zip(job.columns, statistics.counts, strict=True):
        if not (keep and job.dictionary_path(column).is_file()):
            write_dictionary(job.dictionary_path(column), counts)
    return write_sidecar(job, statistics, dictionaries=not keep)


def _remove_stale(job: LabelJob) -> None:
    """Remove labels that only the last teacher of this name made; while its sidecar is there, which lists them."""
    stale = stale_columns(job)
    if stale:
        for prefix in giving_way(job.label_dir, job.split, [*job.columns, *stale], job.packed_prefix):
            remove_packed(prefix)
    for column in stale:
        job.text_path(column).unlink(missing_ok=True)
        job.dictionary_path(column).unlink(missing_ok=True)


def _all_codes(job: LabelJob, shards: list[Shard], entries: dict[Shard, dict[str, Entry]]) -> Iterator[np.ndarray]:
    """Codes of all tracks in the manifest's order, each (frames, Q) uint16."""
    teacher = job.teacher
    for shard in sorted(shards):
        path = shard_base(job.parts_dir, shard).with_suffix(".codes")
        with path.open("rb") as file:
            for track in shard.tracks(job.manifest.samples):
                codes = read_codes(file, entries[shard][job.track_line(track)], len(teacher.codebook_sizes))
                expected = num_label_frames(
                    int(job.manifest.samples[track]), teacher.sample_rate, teacher.label_rate_hz
                )
                if codes is None or len(codes) != expected:
                    raise LabelJobError(
                        f"{path}: the codes of {job.manifest.paths[track]} are damaged. Run apply --shard {shard} "
                        f"again: it makes them anew."
                    )
                yield codes
