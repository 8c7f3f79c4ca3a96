"""Which teacher and manifest labels come from: read sidecars, compare them, and keep them up to date.

The sidecar ``{split}.{name}.json`` is written beside finished labels; the header of packed files holds the same record.
Labels made by other tools have neither, and are not compared.
"""

import glob
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mert_fairseq.files import replacing
from mert_fairseq.labels.packed import PackedLabels
from mert_fairseq.labels.packed_index import HEADER_END, family_name
from mert_fairseq.labels.reader import FrameLabels, JoinedLabels, LabelError

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
        path: of the sidecar or packed header that records it.
        split: such as ``train``.
        teacher: the fields TEACHER_KEYS, which identify the teacher.
        manifest_sha256: of the labelled tracks and lengths; see ``Manifest.tracks_sha256``.
    """

    path: Path
    split: str
    teacher: Mapping[str, Any]
    manifest_sha256: str

    @classmethod
    def from_record(cls, path: Path, split: str, job: Any) -> "Provenance | None":
        """Read the record of a label job; None if ``job`` is no such record."""
        if not isinstance(job, dict) or not {*TEACHER_KEYS, "manifest_sha256"} <= job.keys():
            return None
        return cls(path, split, teacher_fields(job), job["manifest_sha256"])

    @property
    def teacher_name(self) -> str:
        """For messages, such as ``k-means 1f2e3d4c5b6a``."""
        return f"{self.teacher['teacher']} {str(self.teacher['sha256'])[:12]}"

    def manifest_fault(self, tsv: Path, tracks_sha256: str) -> Fault | None:
        """Compare with the manifest that the labels will be used with; None if they match."""
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
        """Compare with the teacher of another split; None if they match."""
        if self.teacher == first.teacher:
            return None
        return Fault(
            self.path,
            f"{label} of {self.split} was made by {self.teacher_name}, {label} of {first.split} by "
            f"{first.teacher_name} ({first.path}): the same code means different things",
            f"Delete dict.{label}.txt and the other dictionaries of the same teacher, and label {first.split} and "
            f"{self.split} with one teacher (apply --teacher NPZ --splits {first.split} {self.split}).",
        )


def teacher_fields(job: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a label job's record that identify its teacher."""
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
    if isinstance(labels, PackedLabels) and (
        found := Provenance.from_record(labels.header_path, split, labels.settings)
    ):
        return dict.fromkeys(labels.columns, found)
    recorded = recorded_provenance(label_dir, split)
    return {column: recorded[column] for column in labels.columns if column in recorded}


def recorded_provenance(label_dir: Path, split: str) -> dict[str, Provenance]:
    """The origin of each label of a split, from the sidecars."""
    return {
        column: found
        for path, sidecar in read_sidecars(label_dir, split)
        if (found := Provenance.from_record(path, split, sidecar["job"]))
        for column in sidecar["columns"]
    }


def read_sidecars(label_dir: Path, split: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the label sidecars of a split, sorted by name; other JSON files are ignored.

    Raises:
        LabelError: if a file is not valid JSON.
    """
    for path in sorted(label_dir.glob(f"{glob.escape(split)}.*.json")):
        if path.name.endswith(HEADER_END):
            continue
        try:
            sidecar = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise LabelError(
                f"{path}: cannot be read ({error}), expected the sidecar of labels. Label the split again, or delete "
                f"the file: labels without a sidecar can be used, but nothing records which teacher made them."
            ) from error
        if isinstance(sidecar, dict) and isinstance(sidecar.get("job"), dict) and sidecar.get("columns"):
            first = sidecar["columns"][0]  # "a.b.rvq.json" belongs to the split "a.b", not to "a"
            if path.name in (f"{split}.{first}.json", f"{split}.{first.rpartition('_')[0]}.json"):
                yield path, sidecar


def write_sidecar(path: Path, sidecar: Mapping[str, Any]) -> None:
    """Write a sidecar as JSON; the file appears complete or not at all."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(sidecar, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def remove_from_sidecars(label_dir: Path, split: str, columns: Collection[str]) -> None:
    """Remove labels that will be replaced from the sidecars; a sidecar without labels is deleted."""
    for path, sidecar in list(read_sidecars(label_dir, split)):
        if kept := [column for column in sidecar["columns"] if column not in columns]:
            if len(kept) < len(sidecar["columns"]):
                write_sidecar(path, _sidecar_of_columns(sidecar, kept))
        else:
            path.unlink()


def copy_sidecars(
    labels: JoinedLabels,
    label_dir: Path,
    split: str,
    out_dir: Path,
    out_split: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Write the sidecars of copied labels; they replace earlier records of the same names.

    Columns of the same job that were copied before stay in its sidecar.

    Args:
        labels: that were read.
        label_dir: their folder.
        split: their split.
        out_dir: folder of the copies.
        out_split: of the copies; ``split`` if None.
        changes: fields of the job's record to replace, for copies of other tracks; statistics are dropped then.
    """
    copied = _sidecars_to_copy(labels, label_dir, split)
    out_split = out_split or split
    existing = {path.name: sidecar for path, sidecar in read_sidecars(out_dir, out_split)}
    remove_from_sidecars(out_dir, out_split, labels.columns)
    for ending, sidecar in copied.items():
        if changes is not None:
            kept_keys = {key: value for key, value in sidecar.items() if key in ("columns", "dictionaries", "tools")}
            sidecar = {"job": {**sidecar["job"], **changes}, **kept_keys}
        name = f"{out_split}{ending}"
        before = existing.get(name, {})
        present = {*labels.columns, *(before["columns"] if before.get("job") == sidecar["job"] else ())}
        kept = [column for column in sidecar["columns"] if column in present]
        write_sidecar(out_dir / name, _sidecar_of_columns(sidecar, kept))


def _sidecars_to_copy(labels: JoinedLabels, label_dir: Path, split: str) -> dict[str, dict[str, Any]]:
    """Sidecars by the ending of their file name; packed labels without a sidecar get one made from their header."""
    sidecars = {
        column: (path.name.removeprefix(split), sidecar)
        for path, sidecar in read_sidecars(label_dir, split)
        for column in sidecar["columns"]
    }
    copied: dict[str, dict[str, Any]] = {}
    for part in labels.parts:
        header = part.settings if isinstance(part, PackedLabels) and "manifest_sha256" in part.settings else None
        for column in part.columns:
            ending, sidecar = sidecars.get(column, ("", {}))
            if header and sidecar.get("job") != header:
                ending, sidecar = f".{family_name(part.columns)}.json", {"job": header, "columns": list(part.columns)}
            if sidecar:
                copied[ending] = sidecar
    return copied


def common_job(labels: JoinedLabels, label_dir: Path, split: str) -> dict[str, Any]:
    """The record of the job that made all columns, for the header of a packed file; empty if there is no such job."""
    sidecars = list(_sidecars_to_copy(labels, label_dir, split).values())
    return sidecars[0]["job"] if len(sidecars) == 1 and {*sidecars[0]["columns"]} >= {*labels.columns} else {}


def _sidecar_of_columns(sidecar: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """The sidecar restricted to some of its columns."""
    books = zip(sidecar["columns"], sidecar.get("codebooks", []), strict=False)
    statistics = {"codebooks": [book for column, book in books if column in columns]} if "codebooks" in sidecar else {}
    return {**sidecar, "columns": list(columns), **statistics}
