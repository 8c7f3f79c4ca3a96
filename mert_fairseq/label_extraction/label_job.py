"""A labelling job: which split of which manifest, which teacher, where the labels go; and where its parts lie."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mert_fairseq.jobs.command import JobError
from mert_fairseq.jobs.rejects import listed
from mert_fairseq.label_extraction.teacher_source import TeacherSource
from mert_fairseq.labels.packed_index import family_name
from mert_fairseq.manifest import Manifest
from mert_fairseq.teachers.labellers import Labeller

FORMATS = ("text", "packed", "both")


class LabelJobError(JobError):
    """A job that cannot go on: the message says where, why and what to do."""


def tracks_refused(where: object, reasons: Collection[str]) -> LabelJobError:
    """The error for tracks without codes."""
    return LabelJobError(
        f"{where}: {len(reasons)} tracks have no codes:\n  {listed(reasons, chr(10) + '  ')}\n"
        f"Mend the files, or move them away and make the manifest again; then give the same command: the codes of the "
        f"other tracks are kept."
    )


@dataclass(frozen=True)
class LabelJob:
    """One split and one teacher.

    Attributes:
        manifest_path: ``{split}.tsv``.
        label_dir: where labels, dictionaries and the sidecar go.
        name: of the labels: ``name_0``, ``name_1``, ..., or just ``name`` for a single codebook that is no codec.
        source: the teacher.
        file_format: "text", "packed" or "both".
        numbered: whether the columns are numbered.
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
        """Where shards lie until they are merged."""
        return self.label_dir / f"{self.split}.{self.name}.parts"

    @property
    def sidecar_path(self) -> Path:
        return self.label_dir / f"{self.split}.{self.name}.json"

    @property
    def rejects_path(self) -> Path:
        """Where the tracks are listed that have no codes."""
        return self.label_dir / f"{self.split}.{self.name}.rejects.tsv"

    def text_path(self, column: str) -> Path:
        """Of a label as text."""
        return self.label_dir / f"{self.split}.{column}"

    def dictionary_path(self, column: str) -> Path:
        """Of a label's dictionary, which all splits share."""
        return self.label_dir / f"dict.{column}.txt"

    @property
    def packed_prefix(self) -> Path | None:
        """Of the packed file, without ``.codes.npy``; None if the format is text."""
        return None if self.file_format == "text" else self.label_dir / f"{self.split}.{family_name(self.columns)}"

    @cached_property
    def manifest(self) -> Manifest:
        return Manifest.read(self.manifest_path)

    @cached_property
    def teacher(self) -> Labeller:
        return self.source.load("cpu")  # workers take the GPU

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
        """A track's line of the manifest, by which journals know it."""
        return f"{self.manifest.paths[track]}\t{self.manifest.samples[track]}"

    @cached_property
    def teacher_identity(self) -> dict[str, Any]:
        """All that a track's codes depend on beside its audio: codes of different ones are not mixed."""
        return {
            **self.source.identity(),
            "sample_rate": self.teacher.sample_rate,
            "label_rate_hz": self.teacher.label_rate_hz,
            "codebook_sizes": list(self.teacher.codebook_sizes),
        }

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that the labels depend on: the teacher, and the tracks in their order."""
        return {
            **self.teacher_identity,
            "tracks": len(self.manifest),
            "manifest_sha256": self.manifest.tracks_sha256,
        }
