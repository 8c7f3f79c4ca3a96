"""Checks of the audio: every file's header against the manifest, some or all files decoded."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mert_fairseq import audio
from mert_fairseq.frames import decoded_length_agrees
from mert_fairseq.jobs.worker_pool import WorkerCrashed, run_tasks
from mert_fairseq.manifest import Manifest
from mert_fairseq.preprocessing.audio_stats import AudioStats, Limits
from mert_fairseq.preprocessing.checks.findings import Options, Report, drawn_tracks, without_path
from mert_fairseq.preprocessing.reject_reasons import Reason

CHUNK_TRACKS = 64
REPLACE = "Fetch or convert the file again and make the manifest again."


class Job(NamedTuple):
    """A file to look at: its number in the manifest, its length in samples, and whether to decode it."""

    track: int
    path: Path
    samples: int
    decode: bool


class Fault(NamedTuple):
    """What is wrong with a file: a word, whether it is an error, what was found, the remedy."""

    track: int
    check: str
    is_error: bool
    found: str
    remedy: str


@dataclass(frozen=True)
class Kinds:
    """How a fault of each kind is reported; gathers the first and the number of each."""

    first: dict[str, Fault]
    count: dict[str, int]

    def add(self, fault: Fault) -> None:
        kept = self.first.setdefault(fault.check, fault)
        if fault.track < kept.track:
            self.first[fault.check] = fault
        self.count[fault.check] = self.count.get(fault.check, 0) + 1


def check_audio(
    tsv: Path,
    manifest: Manifest,
    sample_rate: int,
    options: Options,
    report: Report,
    progress: Callable[[int], None] = lambda tracks: None,
) -> set[int]:
    """Look at every file of a split; gives the tracks whose audio cannot be read.

    Args:
        tsv: the manifest's path, for messages.
        sample_rate: expected, in Hz.
        progress: called with the number of tracks done since the last call.
    """
    decoded = drawn_tracks(len(manifest), options)
    chosen = np.zeros(len(manifest), dtype=bool)
    chosen[decoded] = True

    def chunks() -> Iterator[list[Job]]:
        for start in range(0, len(manifest), CHUNK_TRACKS):
            yield [
                Job(track, manifest.audio_path(track), int(manifest.samples[track]), bool(chosen[track]))
                for track in range(start, min(start + CHUNK_TRACKS, len(manifest)))
            ]

    kinds = Kinds({}, {})
    broken: set[int] = set()
    look = functools.partial(look_at_chunk, sample_rate=sample_rate)
    for chunk, answer in run_tasks(look, chunks(), options.workers):
        if isinstance(answer, WorkerCrashed):  # one of them killed the decoder: find out which
            answer = [fault for job in chunk for fault in _alone(job, look)]
        for fault in answer:
            kinds.add(fault)
            if fault.check in ("audio_missing", "audio_unreadable", "decoder_died"):
                broken.add(fault.track)
        progress(len(chunk))
    for check, fault in kinds.first.items():
        where = f"{tsv}:{fault.track + 2}"
        found = f"{manifest.audio_path(fault.track)}: {fault.found}"
        add = report.error if fault.is_error else report.warn
        add(check, where, found, fault.remedy, kinds.count[check])
    report.record(f"{tsv.stem}: audio headers", f"{len(manifest)} of {len(manifest)}")
    report.record(f"{tsv.stem}: audio decoded", f"{len(decoded)} of {len(manifest)}")
    return broken


def _alone(job: Job, look: Callable[[list[Job]], list[Fault]]) -> list[Fault]:
    ((_, answer),) = run_tasks(look, [[job]], 1)
    if isinstance(answer, WorkerCrashed):
        found = f"reading it killed the process (exit code {answer.exit_code})"
        return [Fault(job.track, "decoder_died", True, found, REPLACE)]
    return answer


def look_at_chunk(jobs: list[Job], sample_rate: int) -> list[Fault]:
    """All faults of some files."""
    return [fault for job in jobs for fault in _look_at(job, sample_rate)]


def _look_at(job: Job, sample_rate: int) -> list[Fault]:
    if not job.path.is_file():
        remedy = "Correct line 1 of the manifest or restore the file; else make the manifest again."
        return [Fault(job.track, "audio_missing", True, "no such file", remedy)]
    try:
        info = audio.probe(job.path)
    except audio.AudioError as error:
        return [Fault(job.track, "audio_unreadable", True, without_path(error, job.path), REPLACE)]
    faults = []
    if info.sample_rate != sample_rate:
        found = f"{info.sample_rate} Hz, expected {sample_rate} Hz"
        remedy = f"Convert it (preprocess/make_manifest.py --convert-to DIR --sample-rate {sample_rate})."
        faults.append(Fault(job.track, "audio_sample_rate", True, found, remedy))
    decode, stated = job.decode, info.samples != audio.UNKNOWN_SAMPLES
    if stated and not decoded_length_agrees(info.samples, job.samples, info.sample_rate, info.format):
        if info.format.startswith("OGG") and info.samples > job.samples:
            decode = True  # the positions in its pages can be ahead of the audio
        else:
            found = f"{info.samples} samples by its header, the manifest says {job.samples}"
            remedy = "The file changed after the manifest was made: make the manifest, and the labels, again."
            faults.append(Fault(job.track, "audio_length", True, found, remedy))
    return faults + (_decode(job, info) if decode else [])


def _decode(job: Job, info: audio.AudioInfo) -> list[Fault]:
    stats = AudioStats(info)
    try:
        for block in audio.stream_channels(job.path):
            stats.update(block, block.mean(axis=1))
    except audio.TruncatedAudioError:
        pass  # the manifest's length counts, not the header's
    except audio.AudioError as error:
        seconds = stats.samples / info.sample_rate
        found = f"decodes up to {seconds:.2f} s only: {without_path(error, job.path)}"
        return [Fault(job.track, "audio_unreadable", True, found, REPLACE)]
    if not decoded_length_agrees(stats.samples, job.samples, info.sample_rate, info.format):
        found = f"decodes to {stats.samples} samples, the manifest says {job.samples}"
        return [Fault(job.track, "audio_length", True, found, REPLACE)]
    verdict = stats.verdict(Limits(min_seconds=0))
    if verdict is None:
        return []
    reason, detail = verdict
    is_error = reason is Reason.NOT_FINITE
    remedy = "Take the track out, or convert again: preprocess/make_manifest.py refuses such files."
    return [Fault(job.track, f"audio_{reason}", is_error, detail, remedy)]
