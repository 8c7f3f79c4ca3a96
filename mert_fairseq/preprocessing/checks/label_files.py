"""What label files come with: find them in their three formats, read their dictionaries, compare their provenance."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mert_fairseq.labels import FrameLabels, LabelDictionary, LabelError, PackedLabels, PaddedLabels, TextLabels
from mert_fairseq.labels.provenance import LABEL_AGAIN, Provenance, provenance
from mert_fairseq.manifest import Manifest
from mert_fairseq.preprocessing.checks.findings import Report, without_path

NPY_MAGIC = b"\x93NUMPY"
PACKED_SUFFIXES = (".codes.npy", ".offsets.npy", ".codes.json")
OTHER_SUFFIXES = (".json", ".jsonl", ".partial", ".log", ".lock", ".txt", ".tsv")  # sidecars and the like
HEAD_BYTES = 4096


class LabelFile(NamedTuple):
    """A label file: its format (text, padded or packed), path, label name, and a function that opens it."""

    form: str
    path: Path
    name: str
    open: Callable[[], FrameLabels]


def find_label_files(label_dir: Path, split: str, splits: Iterable[str]) -> tuple[list[LabelFile], list[Path]]:
    """Find the label files of a split, and files with the name of the split that hold something else.

    A text file holds labels if it has a dictionary, or if it begins with digits and blanks only.

    Args:
        split: name of the split.
        splits: names of all splits: ``train.live.rvq_0`` belongs to ``train.live`` if there is such a split.
    """
    longer = [f"{other}." for other in splits if other != split and other.startswith(f"{split}.")]
    found: dict[str, LabelFile] = {}
    others = []
    for path in sorted(label_dir.glob(f"{split}.*")):
        name = path.name[len(split) + 1 :]
        if any(path.name.startswith(prefix) for prefix in longer) or not path.is_file():
            continue
        packed = next((name.removesuffix(end) for end in PACKED_SUFFIXES if name.endswith(end)), None)
        if packed is not None:
            prefix = label_dir / f"{split}.{packed}"
            found[f"{packed}/packed"] = LabelFile("packed", path, packed, partial(PackedLabels, prefix))
        elif name.endswith(".npy") or _head(path).startswith(NPY_MAGIC):
            column = name.removesuffix(".npy")
            found[f"{column}/padded"] = LabelFile("padded", path, column, partial(PaddedLabels, path, column))
        elif path.suffix in OTHER_SUFFIXES:
            continue
        elif (label_dir / f"dict.{name}.txt").is_file() or _is_numeric(path):
            found[f"{name}/text"] = LabelFile("text", path, name, partial(TextLabels, path, name))
        else:
            others.append(path)
    return list(found.values()), others


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _is_numeric(path: Path) -> bool:
    head = _head(path)
    return bool(head.strip()) and not head.strip(b"0123456789 \n\r")


class Dictionaries:
    """Dictionaries by label name; each is read and reported once."""

    def __init__(self, label_dir: Path, report: Report) -> None:
        self.label_dir, self.report = label_dir, report
        self.known: dict[str, LabelDictionary | None] = {}

    def of(self, label: str) -> LabelDictionary | None:
        if label not in self.known:
            path = self.label_dir / f"dict.{label}.txt"
            try:
                self.known[label] = LabelDictionary.read(path)
                self.report.record(f"dictionary {path.name}", f"{len(self.known[label].symbols)} codes")  # type: ignore[union-attr]
            except LabelError as error:
                self.known[label] = None
                check = "dictionary_unreadable" if path.is_file() else "dictionary_missing"
                remedy = "Copy it from the folder of the label job, or make the labels again; the job writes both."
                self.report.error(check, path, without_path(error, path), remedy)
        return self.known[label]


class ProvenanceCheck:
    """Compares the teachers and manifests that the label files were made with."""

    def __init__(self, label_dir: Path, report: Report) -> None:
        self.label_dir, self.report = label_dir, report
        self.first: dict[str, Provenance] = {}
        self.reported: set[tuple[str, Path]] = set()  # a sidecar belongs to several files

    def check(self, split: str, manifest: Manifest, labels: FrameLabels) -> float | None:
        """Compare the record of one label file; returns the labels per second that it states, None without a record."""
        try:
            found = provenance(labels, self.label_dir, split)
        except LabelError as error:
            self.report.error("label_sidecar", self.label_dir / f"{split}.*.json", str(error), LABEL_AGAIN)
            return None
        tsv = self.report.folder / f"{split}.tsv"
        for column, origin in found.items():
            first = self.first.setdefault(column, origin)
            for check, fault in (
                ("label_manifest", origin.manifest_fault(tsv, manifest.tracks_sha256)),
                ("label_teacher", origin.teacher_fault(column, first)),
            ):
                if fault and (check, fault.where) not in self.reported:
                    self.reported.add((check, fault.where))
                    self.report.error(check, fault.where, fault.found, fault.remedy)
        return next((float(origin.teacher["label_rate_hz"]) for origin in found.values()), None)
