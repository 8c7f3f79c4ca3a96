"""One track to its codes."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from mert_fairseq.audio import AudioError, probe, stream_blocks
from mert_fairseq.frames import num_label_frames
from mert_fairseq.labelling.source import TeacherSource, loaded
from mert_fairseq.teachers.labellers import Labeller


class TrackTask(NamedTuple):
    """A track to label."""

    track: int
    path: str
    samples: int


class Refused(NamedTuple):
    """Why a track has no codes."""

    reason: str


def label_track(source: TeacherSource, task: TrackTask) -> np.ndarray | Refused:
    """Codes of a track, (frames, Q) uint16, or why there are none; run in a worker process.

    On one thread, so that the bytes do not depend on the number of workers.
    """
    import torch

    torch.set_num_threads(1)
    with threadpool_limits(1):
        try:
            return encode_track(loaded(source), task)
        except AudioError as error:
            return Refused(str(error))


def encode_track(teacher: Labeller, task: TrackTask) -> np.ndarray:
    """Codes of a track.

    Raises:
        AudioError: if it cannot be read, or is not what the manifest says.
    """
    rate = probe(task.path).sample_rate
    if rate != teacher.sample_rate:
        raise AudioError(
            f"{task.path}: found {rate} Hz, expected the teacher's {teacher.sample_rate} Hz. Convert it "
            f"(preprocess/make_manifest.py --convert-to DIR --sample-rate {teacher.sample_rate})."
        )
    counted = _Counted(task.path)
    parts = list(teacher.codes(counted.blocks()))
    if counted.samples != task.samples:
        raise AudioError(
            f"{task.path}: found {counted.samples} samples, expected the manifest's {task.samples}. The file was "
            f"replaced: make the manifest again."
        )
    codes = np.concatenate(parts)
    expected = num_label_frames(task.samples, teacher.sample_rate, teacher.label_rate_hz)
    assert len(codes) == expected, f"{task.path}: the teacher gave {len(codes)} codes instead of {expected}"
    return codes


class _Counted:
    """A file's blocks and how many samples they held."""

    def __init__(self, path: str):
        self.path = path
        self.samples = 0

    def blocks(self) -> Iterator[np.ndarray]:
        """The file's blocks, counted."""
        for block in stream_blocks(self.path):
            if not np.isfinite(block.sum()):
                raise AudioError(f"{self.path}: found NaN or infinity. Make the file again or leave it out.")
            self.samples += len(block)
            yield block
