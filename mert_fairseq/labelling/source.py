"""Where a job's teacher comes from, as something that can be sent to worker processes and written into a sidecar."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mert_fairseq.teachers.labellers import FeatureLabeller, Labeller


@dataclass(frozen=True)
class TeacherSource:
    """A fitted K-means teacher by its file.

    Attributes:
        path: the .npz that ``fit`` wrote.
    """

    path: str

    def load(self) -> Labeller:
        """The teacher, ready to label."""
        return FeatureLabeller.load(self.path)

    def identity(self) -> dict[str, Any]:
        """What the codes depend on beside the audio, for headers and sidecars."""
        labeller = FeatureLabeller.load(self.path)
        return {"teacher": "k-means", "sha256": file_sha256(self.path), "about": labeller.quantiser.about}


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1)
def loaded(source: TeacherSource) -> Labeller:
    """The teacher of a worker process, loaded once."""
    return source.load()
