"""A labelling job: which split of which manifest, which teacher, where the labels go; and where its parts lie."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mert_fairseq.labelling.source import TeacherSource
from mert_fairseq.labels.homes import family_name
from mert_fairseq.manifest import Manifest
from mert_fairseq.teachers.labellers import Labeller

FORMATS = ("text", "packed", "both")


class LabelJobError(RuntimeError):
    """A job that cannot go on: the message says where, why and what to do."""


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
        first: whether this is the split whose counts the dictionaries show.
    """

    manifest_path: Path
    label_dir: Path
    name: str
    source: TeacherSource
    file_format: str = "text"
    numbered: bool = True
    first: bool = True

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
    def packed_prefix(self) -> Path:
        """Of the packed file, without ``.codes.npy``."""
        return self.label_dir / f"{self.split}.{family_name(self.columns)}"

    @cached_property
    def manifest(self) -> Manifest:
        return Manifest.read(self.manifest_path)

    @cached_property
    def teacher(self) -> Labeller:
        return self.source.load("cpu")  # workers take the GPU

    @property
    def columns(self) -> Sequence[str]:
        """Label names."""
        if not self.numbered:
            return [self.name]
        return [f"{self.name}_{q}" for q in range(len(self.teacher.codebook_sizes))]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that the codes depend on: parts and labels of another identity are not mixed with these.

        Raises:
            LabelJobError: if the manifest is of another sample rate than the teacher, or is empty.
        """
        if not len(self.manifest):
            raise LabelJobError(f"{self.manifest_path}: lists no track. Make the manifest again.")
        if self.manifest.sample_rate not in (None, self.teacher.sample_rate):
            raise LabelJobError(
                f"{self.manifest_path}: found {self.manifest.sample_rate} Hz, expected the teacher's "
                f"{self.teacher.sample_rate} Hz. Convert the audio (preprocess/make_manifest.py --convert-to DIR "
                f"--sample-rate {self.teacher.sample_rate}), or fit the teacher at the manifest's rate."
            )
        tracks = hashlib.sha256()
        for path, samples in zip(self.manifest.paths, self.manifest.samples.tolist(), strict=True):
            tracks.update(f"{path}\t{samples}\n".encode(errors="surrogateescape"))
        return {
            **self.source.identity(),
            "sample_rate": self.teacher.sample_rate,
            "label_rate_hz": self.teacher.label_rate_hz,
            "codebook_sizes": list(self.teacher.codebook_sizes),
            "tracks": len(self.manifest),
            "manifest_sha256": tracks.hexdigest(),
        }
