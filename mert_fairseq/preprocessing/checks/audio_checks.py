"""Checks of the audio: the header of every file against the manifest, and the samples of some or all files."""

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


class FileToCheck(NamedTuple):
    """A file: its number in the manifest, its path, its length in samples, and whether to decode it."""

    track: int
    path: Path
    samples: int
    decode: bool


class Fault(NamedTuple):
    """A fault of a file: track, code of the finding, whether it is an error, what was found, the remedy."""

    track: int
    check: str
    is_error: bool
    found: str
    remedy: str


@dataclass(frozen=True)
class FaultCounts:
    """The first fault of each kind, and the number of faults of that kind."""

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
    """Check every file of a split.

    Args:
        tsv: the manifest's path, for messages.
        sample_rate: expected, in Hz.
        progress: called with the number of tracks done since the last call.

    Returns:
        The tracks whose audio cannot be read.
    """
    decoded = drawn_tracks(len(manifest), options)
    chosen = np.zeros(len(manifest), dtype=bool)
    chosen[decoded] = True

    def chunks() -> Iterator[list[FileToCheck]]:
        for start in range(0, len(manifest), CHUNK_TRACKS):
            yield [
                FileToCheck(track, manifest.audio_path(track), int(manifest.samples[track]), bool(chosen[track]))
                for track in range(start, min(start + CHUNK_TRACKS, len(manifest)))
            ]

    faults = FaultCounts({}, {})
    broken: set[int] = set()
    check = functools.partial(check_chunk, sample_rate=sample_rate)
    for chunk, answer in run_tasks(check, chunks(), options.workers):
        if isinstance(answer, WorkerCrashed):  # one file killed the decoder: check each in its own process
            answer = [fault for file in chunk for fault in _check_alone(file, check)]
        for fault in answer:
            faults.add(fault)
            if fault.check in ("audio_missing", "audio_unreadable", "decoder_died"):
                broken.add(fault.track)
        progress(len(chunk))
    for code, fault in faults.first.items():
        where = f"{tsv}:{fault.track + 2}"
        found = f"{manifest.audio_path(fault.track)}: {fault.found}"
        add = report.error if fault.is_error else report.warn
        add(code, where, found, fault.remedy, faults.count[code])
    report.record(f"{tsv.stem}: audio headers", f"{len(manifest)} of {len(manifest)}")
    report.record(f"{tsv.stem}: audio decoded", f"{len(decoded)} of {len(manifest)}")
    return broken


def _check_alone(file: FileToCheck, check: Callable[[list[FileToCheck]], list[Fault]]) -> list[Fault]:
    ((_, answer),) = run_tasks(check, [[file]], 1)
    if isinstance(answer, WorkerCrashed):
        found = f"reading it killed the process (exit code {answer.exit_code})"
        return [Fault(file.track, "decoder_died", True, found, REPLACE)]
    return answer


def check_chunk(files: list[FileToCheck], sample_rate: int) -> list[Fault]:
    """All faults of some files; runs in a worker process."""
    return [fault for file in files for fault in _check_file(file, sample_rate)]


def _check_file(file: FileToCheck, sample_rate: int) -> list[Fault]:
    if not file.path.is_file():
        remedy = "Correct line 1 of the manifest or restore the file; else make the manifest again."
        return [Fault(file.track, "audio_missing", True, "no such file", remedy)]
    try:
        info = audio.probe(file.path)
    except audio.AudioError as error:
        return [Fault(file.track, "audio_unreadable", True, without_path(error, file.path), REPLACE)]
    faults = []
    if info.sample_rate != sample_rate:
        found = f"{info.sample_rate} Hz, expected {sample_rate} Hz"
        remedy = f"Convert it (preprocess/make_manifest.py --convert-to DIR --sample-rate {sample_rate})."
        faults.append(Fault(file.track, "audio_sample_rate", True, found, remedy))
    decode, stated = file.decode, info.samples != audio.UNKNOWN_SAMPLES
    if stated and not decoded_length_agrees(info.samples, file.samples, info.sample_rate, info.format):
        if info.format.startswith("OGG") and info.samples > file.samples:
            decode = True  # the positions in its pages can be ahead of the audio
        else:
            found = f"{info.samples} samples by its header, the manifest says {file.samples}"
            remedy = "The file changed after the manifest was made: make the manifest, and the labels, again."
            faults.append(Fault(file.track, "audio_length", True, found, remedy))
    return faults + (_check_samples(file, info) if decode else [])


def _check_samples(file: FileToCheck, info: audio.AudioInfo) -> list[Fault]:
    stats = AudioStats(info)
    try:
        for block in audio.stream_channels(file.path):
            stats.update(block, block.mean(axis=1))
    except audio.TruncatedAudioError:
        pass  # the length is compared with the manifest, not the header
    except audio.AudioError as error:
        seconds = stats.samples / info.sample_rate
        found = f"decodes up to {seconds:.2f} s only: {without_path(error, file.path)}"
        return [Fault(file.track, "audio_unreadable", True, found, REPLACE)]
    if not decoded_length_agrees(stats.samples, file.samples, info.sample_rate, info.format):
        found = f"decodes to {stats.samples} samples, the manifest says {file.samples}"
        return [Fault(file.track, "audio_length", True, found, REPLACE)]
    verdict = stats.verdict(Limits(min_seconds=0))
    if verdict is None:
        return []
    reason, detail = verdict
    is_error = reason is Reason.NOT_FINITE
    remedy = "Remove the track, or convert again: preprocess/make_manifest.py rejects such files."
    return [Fault(file.track, f"audio_{reason}", is_error, detail, remedy)]
