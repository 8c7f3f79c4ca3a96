"""Turn tracks into codes, inside a worker process."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from mert_fairseq.audio import AudioError, TruncatedAudioError, probe, stream_blocks
from mert_fairseq.frames import decoded_length_agrees, num_label_frames
from mert_fairseq.label_extraction.label_job import TeacherSource, load_teacher_once
from mert_fairseq.teachers.code_teachers import CodeTeacher


class TrackTask(NamedTuple):
    """A track to label."""

    track: int  # its number in the manifest
    path: str
    samples: int


class Reject(NamedTuple):
    """Why a track has no codes."""

    reason: str


class TrackReader:
    """Reads a track in blocks, and records in ``reason`` what is wrong with it."""

    def __init__(self, task: TrackTask, sample_rate: int):
        self.task = task
        self.sample_rate = sample_rate
        self.reason = ""

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield (n,) float32 mono blocks, at least one sample in all; stops early if the file turns out to be wrong.

        A file may differ from the manifest's length by as much as ``frames.decoded_length_agrees`` allows. It is cut,
        or padded with zeros, to the manifest's length, as in training.
        """
        expected, samples = self.task.samples, 0
        try:
            audio_format = self._checked_format()
            for block in self._decoded():
                self._check_block(block)
                if samples < expected:
                    yield block[: expected - samples]
                samples += len(block)
            if decoded_length_agrees(samples, expected, self.sample_rate, audio_format):
                if samples < expected:
                    yield np.zeros(expected - samples, dtype=np.float32)
            else:
                self.reason = (
                    f"{self.task.path}: found {samples} samples, expected the manifest's {expected}. The file was "
                    f"replaced: make the manifest again."
                )
        except AudioError as error:
            self.reason = str(error)
        if not samples or not expected:
            self.reason = self.reason or f"{self.task.path}: found no samples, expected at least one. Remove the file."
            yield np.zeros(1, dtype=np.float32)

    def _decoded(self) -> Iterator[np.ndarray]:
        """The blocks of the file. The length in its header does not matter, only the length in the manifest does."""
        try:
            yield from stream_blocks(self.task.path)
        except TruncatedAudioError:
            return

    def _checked_format(self) -> str:
        info = probe(self.task.path)
        rate = info.sample_rate
        if rate != self.sample_rate:
            raise AudioError(
                f"{self.task.path}: found {rate} Hz, expected the teacher's {self.sample_rate} Hz. Convert it "
                f"(preprocess/make_manifest.py --convert-to DIR --sample-rate {self.sample_rate})."
            )
        return info.format

    def _check_block(self, block: np.ndarray) -> None:
        if not np.isfinite(block.sum()) and not np.isfinite(block).all():
            raise AudioError(f"{self.task.path}: found NaN or infinity. Make the file again or remove it.")


def use_one_thread() -> threadpool_limits:
    """Limit this process to one thread, so that codes do not depend on the number of workers or cores."""
    torch.set_num_threads(1)
    return threadpool_limits(1)


def label_tracks(source: TeacherSource, tasks: Sequence[TrackTask]) -> list[np.ndarray | Reject]:
    """Codes of each track, (frames, Q) uint16, or why it has none."""
    with use_one_thread():
        return encode_tracks(load_teacher_once(source), tasks)


def encode_tracks(teacher: CodeTeacher, tasks: Sequence[TrackTask]) -> list[np.ndarray | Reject]:
    """Codes of each track, in one batch if the teacher supports batches."""
    readers = [TrackReader(task, teacher.sample_rate) for task in tasks]
    pieces: list[list[np.ndarray]] = [[] for _ in tasks]
    for index, codes in teacher.codes_of_batch([reader.blocks() for reader in readers]):
        pieces[index].append(codes)
    results: list[np.ndarray | Reject] = []
    for task, reader, codes_pieces in zip(tasks, readers, pieces, strict=True):
        if reader.reason:
            results.append(Reject(reader.reason))
            continue
        codes = np.concatenate(codes_pieces)
        expected = num_label_frames(task.samples, teacher.sample_rate, teacher.label_rate_hz)
        assert len(codes) == expected, f"{task.path}: the teacher returned {len(codes)} codes instead of {expected}"
        results.append(codes)
    return results
