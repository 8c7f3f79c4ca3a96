"""A label job: the manifest of one split, the teacher, and where labels and intermediate files go."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from mert_fairseq.jobs.command import JobError
from mert_fairseq.jobs.rejects import listed
from mert_fairseq.labels.packed_index import family_name
from mert_fairseq.manifest import Manifest
from mert_fairseq.teachers.code_teachers import CodeTeacher, KMeansTeacher, MakeFeatures, frame_features
from mert_fairseq.teachers.encodec import KBITS, EncodecTeacher, load_encodec
from mert_fairseq.teachers.rvq import ResidualKMeans

FORMATS = ("text", "packed", "both")
ENCODEC = "encodec"


class LabelJobError(JobError):
    """A label job that cannot continue; the message says where, why and what to do."""


def rejects_error(where: object, reasons: Collection[str]) -> LabelJobError:
    """The error for tracks that have no codes."""
    return LabelJobError(
        f"{where}: {len(reasons)} tracks have no codes:\n  {listed(reasons, chr(10) + '  ')}\n"
        f"Repair the files, or move them away and make the manifest again; then run the same command: the codes of "
        f"the other tracks are kept."
    )


@dataclass(frozen=True)
class TeacherSource:
    """The files of a teacher, in a form that worker processes and sidecars can take.

    Attributes:
        path: the .npz that ``fit`` wrote, or "encodec".
        weights: of EnCodec, a file or folder; if None, the encodec package downloads its own.
        sha256: how the SHA-256 of the weights must begin; None takes it from the file name.
        batch: tracks that EnCodec encodes at once: 1 is best on a CPU, 16 or more on a GPU.
        make_features: makes the features of a K-means teacher from their settings; must be picklable, such as a
            function of a module. Features of a model's layer need fairseq, which must not be imported here.
    """

    path: str
    weights: str | None = None
    sha256: str | None = None
    batch: int = 1
    make_features: MakeFeatures = frame_features

    def load(self, device: str | None = None) -> CodeTeacher:
        """Load the teacher; EnCodec uses a GPU if there is one and ``device`` is None."""
        if self.path == ENCODEC:
            return EncodecTeacher(load_encodec(self.weights, self.sha256)[0], device)
        return KMeansTeacher.load(self.path, self.make_features)

    def identity(self) -> dict[str, Any]:
        """Everything about the teacher that its codes depend on, for journals and sidecars."""
        if self.path == ENCODEC:
            about = {"model": "encodec_24khz", "kbits": KBITS, "batch": self.batch}
            return {"teacher": "encodec", "sha256": load_encodec(self.weights, self.sha256)[1], "about": about}
        metadata = ResidualKMeans.load(self.path).metadata
        return {"teacher": "k-means", "sha256": file_sha256(self.path), "about": metadata}


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1)
def load_teacher_once(source: TeacherSource) -> CodeTeacher:
    """Load the teacher of a worker process at the first call only."""
    return source.load()


@dataclass(frozen=True)
class LabelJob:
    """One split and one teacher.

    Attributes:
        manifest_path: ``{split}.tsv``.
        label_dir: folder of labels, dictionaries and the sidecar.
        name: of the labels: ``name_0``, ``name_1``, ... if numbered, else ``name``.
        source: the teacher.
        file_format: "text", "packed" or "both".
        numbered: whether column names end in the number of their codebook.
    """

    manifest_path: Path
    label_dir: Path
    name: str
    source: TeacherSource
    file_format: str = "text"
    numbered: bool = True

    @property
    def split(self) -> str:
        return self.manifest_path.stem

    @property
    def parts_dir(self) -> Path:
        """Folder of the parts until they are merged."""
        return self.label_dir / f"{self.split}.{self.name}.parts"

    @property
    def sidecar_path(self) -> Path:
        return self.label_dir / f"{self.split}.{self.name}.json"

    @property
    def rejects_path(self) -> Path:
        """Table of the tracks that have no codes."""
        return self.label_dir / f"{self.split}.{self.name}.rejects.tsv"

    def text_path(self, column: str) -> Path:
        return self.label_dir / f"{self.split}.{column}"

    def dictionary_path(self, column: str) -> Path:
        """The dictionary of a label, shared by all splits."""
        return self.label_dir / f"dict.{column}.txt"

    @property
    def packed_prefix(self) -> Path | None:
        """Path of the packed file without ``.codes.npy``; None if the format is text."""
        return None if self.file_format == "text" else self.label_dir / f"{self.split}.{family_name(self.columns)}"

    @cached_property
    def manifest(self) -> Manifest:
        return Manifest.read(self.manifest_path)

    @cached_property
    def teacher(self) -> CodeTeacher:
        """The teacher on the CPU; workers load their own, which may use the GPU."""
        return self.source.load("cpu")

    @property
    def columns(self) -> Sequence[str]:
        """Label names.

        Raises:
            LabelJobError: if they are not numbered, and the teacher has several codebooks.
        """
        codebooks = len(self.teacher.codebook_sizes)
        if self.numbered:
            return [f"{self.name}_{q}" for q in range(codebooks)]
        if codebooks != 1:
            raise LabelJobError(
                f"{self.source.path}: found {codebooks} codebooks, expected the 1 of a K-means teacher. Label with "
                f"preprocess/extract_rvq_labels.py."
            )
        return [self.name]

    def track_line(self, track: int) -> str:
        """A track's line of the manifest, which identifies it in journals."""
        return f"{self.manifest.paths[track]}\t{self.manifest.samples[track]}"

    @cached_property
    def teacher_identity(self) -> dict[str, Any]:
        """Everything besides the audio that a track's codes depend on; codes of different identities never mix."""
        return {
            **self.source.identity(),
            "sample_rate": self.teacher.sample_rate,
            "label_rate_hz": self.teacher.label_rate_hz,
            "codebook_sizes": list(self.teacher.codebook_sizes),
        }

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that the labels depend on: the teacher, and the tracks in their order."""
        return {
            **self.teacher_identity,
            "tracks": len(self.manifest),
            "manifest_sha256": self.manifest.tracks_sha256,
        }
