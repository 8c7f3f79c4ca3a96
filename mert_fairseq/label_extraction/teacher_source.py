"""Where a job's teacher comes from, as something that can be sent to worker processes and written into a sidecar."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mert_fairseq.teachers.encodec import KBITS, EncodecTeacher, load_encodec
from mert_fairseq.teachers.labellers import FeatureLabeller, Labeller, MakeFeatures, frame_features
from mert_fairseq.teachers.rvq import ResidualKMeans

ENCODEC = "encodec"


@dataclass(frozen=True)
class TeacherSource:
    """A teacher by its files.

    Attributes:
        path: the .npz that ``fit`` wrote, or "encodec".
        weights: of EnCodec, a file or folder; None lets its package download them.
        sha256: what the weights' SHA-256 has to begin with; None takes it from their file name.
        batch: tracks that EnCodec encodes side by side: 1 is best on a CPU, 16 or more on a GPU.
        make_features: makes the features of a K-means teacher from their settings; a module's function or a partial
            of one. Those of a model's layer need fairseq, which is not to be imported here.
    """

    path: str
    weights: str | None = None
    sha256: str | None = None
    batch: int = 1
    make_features: MakeFeatures = frame_features

    def load(self, device: str | None = None) -> Labeller:
        """The teacher, ready to label; EnCodec takes a GPU if there is one and ``device`` does not say otherwise."""
        if self.path == ENCODEC:
            return EncodecTeacher(load_encodec(self.weights, self.sha256)[0], device)
        return FeatureLabeller.load(self.path, self.make_features)

    def identity(self) -> dict[str, Any]:
        """What the codes depend on beside the audio, for headers and sidecars."""
        if self.path == ENCODEC:
            about = {"model": "encodec_24khz", "kbits": KBITS, "batch": self.batch}
            return {"teacher": "encodec", "sha256": load_encodec(self.weights, self.sha256)[1], "about": about}
        about = ResidualKMeans.load(self.path).about
        return {"teacher": "k-means", "sha256": file_sha256(self.path), "about": about}


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1)
def loaded(source: TeacherSource) -> Labeller:
    """The teacher of a worker process, loaded once."""
    return source.load()
