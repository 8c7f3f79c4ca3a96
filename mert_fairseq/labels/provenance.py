"""Where labels come from: the teacher and the manifest that sidecars and packed headers record.

``{split}.{name}.json`` is written beside finished labels; packed files carry the same record in their header. Labels
made by other tools have neither, and nothing is compared for them.
"""

import glob
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mert_fairseq.labels.packed import PackedLabels
from mert_fairseq.labels.packed_index import HEADER_END
from mert_fairseq.labels.reader import FrameLabels, LabelError

TEACHER_KEYS = ("teacher", "sha256", "sample_rate", "label_rate_hz", "codebook_sizes")
LABEL_AGAIN = (
    "Make the labels again from this manifest (preprocess/extract_rvq_labels.py, preprocess/kmeans_labels.py)."
)


class Fault(NamedTuple):
    """What is wrong with the origin of labels: the file that shows it, what was found, the remedy."""

    where: Path
    found: str
    remedy: str

    def error(self) -> LabelError:
        return LabelError(f"{self.where}: {self.found}. {self.remedy}")


@dataclass(frozen=True)
class Provenance:
    """The origin of a label of one split.

    Attributes:
        path: of the sidecar or packed header that says so.
        split: such as ``train``.
        teacher: what tells one teacher from another, by TEACHER_KEYS.
        manifest_sha256: of the tracks and lengths that were labelled; see ``Manifest.tracks_sha256``.
    """

    path: Path
    split: str
    teacher: Mapping[str, Any]
    manifest_sha256: str

    @classmethod
    def of(cls, path: Path, split: str, job: Any) -> "Provenance | None":
        """Read the record of a labelling job; None if it is no such record."""
        if not isinstance(job, dict) or not {*TEACHER_KEYS, "manifest_sha256"} <= job.keys():
            return None
        return cls(path, split, teacher_of(job), job["manifest_sha256"])

    @property
    def teacher_name(self) -> str:
        """For messages, such as ``k-means 1f2e3d4c5b6a``."""
        return f"{self.teacher['teacher']} {str(self.teacher['sha256'])[:12]}"

    def manifest_fault(self, tsv: Path, tracks_sha256: str) -> Fault | None:
        """Compare with the manifest that the labels are to be used with."""
        if self.manifest_sha256 == tracks_sha256:
            return None
        found = (
            f"the labels were made from other tracks or lengths than {tsv} lists now (digest "
            f"{self.manifest_sha256[:12]}, expected {tracks_sha256[:12]})"
        )
        by_hand = "delete the packed files" if self.path.name.endswith(HEADER_END) else f"delete {self.path.name}"
        return Fault(
            self.path,
            found,
            f"{LABEL_AGAIN} If you edited the manifest and the labels by hand and they belong together, {by_hand}.",
        )

    def teacher_fault(self, label: str, first: "Provenance") -> Fault | None:
        """Compare with the teacher that labelled another split."""
        if self.teacher == first.teacher:
            return None
        return Fault(
            self.path,
            f"{label} of {self.split} was made by {self.teacher_name}, {label} of {first.split} by "
            f"{first.teacher_name} ({first.path}): the same code means different things",
            f"Delete dict.{label}.txt, with those of the same teacher, and label {first.split} and {self.split} with "
            f"one teacher (apply --teacher NPZ --splits {first.split} {self.split}).",
        )


def teacher_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """What tells one teacher from another, of the record of a labelling job."""
    return {key: job[key] for key in TEACHER_KEYS}


def provenance(labels: FrameLabels, label_dir: Path, split: str) -> dict[str, Provenance]:
    """The origin of each column of one label file, where it is recorded.

    Args:
        labels: text, padded or packed.
        label_dir: folder of the labels.
        split: such as ``train``.

    Raises:
        LabelError: if a sidecar cannot be read.
    """
    if isinstance(labels, PackedLabels) and (found := Provenance.of(labels.header_path, split, labels.settings)):
        return dict.fromkeys(labels.columns, found)
    recorded = recorded_columns(label_dir, split)
    return {column: recorded[column] for column in labels.columns if column in recorded}


def recorded_columns(label_dir: Path, split: str) -> dict[str, Provenance]:
    """The origin of each label of a split by the sidecars."""
    return {
        column: found
        for path, sidecar in read_sidecars(label_dir, split)
        if (found := Provenance.of(path, split, sidecar["job"]))
        for column in sidecar["columns"]
    }


def read_sidecars(label_dir: Path, split: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The label sidecars of a split, sorted by name; other JSON files are left out.

    Raises:
        LabelError: if a file is no JSON.
    """
    for path in sorted(label_dir.glob(f"{glob.escape(split)}.*.json")):
        if path.name.endswith(HEADER_END):
            continue
        try:
            sidecar = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise LabelError(
                f"{path}: cannot be read ({error}), expected the sidecar of labels. Label the split again, or delete "
                f"the file: labels without a sidecar can be used, but nothing tells which teacher made them."
            ) from error
        if isinstance(sidecar, dict) and isinstance(sidecar.get("job"), dict) and sidecar.get("columns"):
            first = sidecar["columns"][0]  # of a split "a", "a.b.rvq.json" is none: it is of the split "a.b"
            if path.name in (f"{split}.{first}.json", f"{split}.{first.rpartition('_')[0]}.json"):
                yield path, sidecar
