"""Tracks to their codes, in a worker process."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from mert_fairseq.audio import AudioError, TruncatedAudioError, probe, stream_blocks
from mert_fairseq.frames import decoded_length_agrees, num_label_frames
from mert_fairseq.label_extraction.teacher_source import TeacherSource, loaded
from mert_fairseq.teachers.labellers import Labeller


class TrackTask(NamedTuple):
    """A track to label."""

    track: int
    path: str
    samples: int


class Refused(NamedTuple):
    """Why a track has no codes."""

    reason: str


class TrackReader:
    """A track's blocks, and what turned out to be wrong with them."""

    def __init__(self, task: TrackTask, sample_rate: int):
        self.task = task
        self.sample_rate = sample_rate
        self.reason = ""

    def blocks(self) -> Iterator[np.ndarray]:
        """(n,) float32 mono each, at least one sample; ends early if the file turns out to be wrong.

        A file may be longer or shorter than the manifest says by ``frames.decoded_length_agrees``: it is cut, or
        filled up with zeros, to the manifest's length, as training does.
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
            self.reason = self.reason or f"{self.task.path}: found no samples, expected at least one. Leave it out."
            yield np.zeros(1, dtype=np.float32)

    def _decoded(self) -> Iterator[np.ndarray]:
        """The blocks of the file, whatever length its header states: the manifest's counts."""
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
            raise AudioError(f"{self.task.path}: found NaN or infinity. Make the file again or leave it out.")


def use_one_thread() -> threadpool_limits:
    """Limit this process to one thread: bytes do not depend on the number of workers or cores."""
    torch.set_num_threads(1)
    return threadpool_limits(1)


def label_tracks(source: TeacherSource, tasks: Sequence[TrackTask]) -> list[np.ndarray | Refused]:
    """Codes of each track, (frames, Q) uint16, or why there are none."""
    with use_one_thread():
        return encode_tracks(loaded(source), tasks)


def encode_tracks(teacher: Labeller, tasks: Sequence[TrackTask]) -> list[np.ndarray | Refused]:
    """Codes of each track, side by side if the teacher can."""
    readers = [TrackReader(task, teacher.sample_rate) for task in tasks]
    parts: list[list[np.ndarray]] = [[] for _ in tasks]
    for place, codes in teacher.codes_of_batch([reader.blocks() for reader in readers]):
        parts[place].append(codes)
    answers: list[np.ndarray | Refused] = []
    for task, reader, codes_parts in zip(tasks, readers, parts, strict=True):
        if reader.reason:
            answers.append(Refused(reader.reason))
            continue
        codes = np.concatenate(codes_parts)
        expected = num_label_frames(task.samples, teacher.sample_rate, teacher.label_rate_hz)
        assert len(codes) == expected, f"{task.path}: the teacher gave {len(codes)} codes instead of {expected}"
        answers.append(codes)
    return answers
