"""Labels from one form to another, without loss."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mert_fairseq.files import replacing
from mert_fairseq.labels.dictionary_users import other_users
from mert_fairseq.labels.packed import PackedLabels, PackedWriter, packed_files
from mert_fairseq.labels.packed_index import family_name, replacing_packed
from mert_fairseq.labels.padded import write_padded
from mert_fairseq.labels.provenance import provenance
from mert_fairseq.labels.reader import JoinedLabels, LabelError
from mert_fairseq.labels.sidecars import carry_records, common_job
from mert_fairseq.labels.source import open_labels
from mert_fairseq.labels.text import TextLabels, TextWriter

FORMS = ("packed", "text", "padded")
Watch = Callable[[Iterator[np.ndarray], int], Iterator[np.ndarray]]


def convert_labels(
    label_dir: str | Path,
    split: str,
    columns: Sequence[str],
    target: str,
    out_dir: str | Path,
    padded: bool = False,
    label_rate_hz: float | None = None,
    watch: Watch = lambda tracks, total: tracks,
) -> JoinedLabels:
    """Write a split's labels in another form, and their dictionaries beside them.

    Args:
        label_dir: folder of the labels.
        split: such as ``train``.
        columns: label names.
        target: one of FORMS.
        out_dir: made if need be.
        padded: read the padded form; else packed files are read where there are some, and text.
        label_rate_hz: kept in packed files; taken from a packed source if None.
        watch: wraps the tracks, for a progress bar; gets their number.

    Returns:
        What was read.

    Raises:
        LabelError: if the columns of a track differ in length, the target is the source, a packed file that holds
            other labels too would be replaced, or a dictionary that other labels use.
    """
    labels = open_labels(label_dir, split, columns, padded)
    refuse_uneven(labels)
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    refuse_foreign_dictionaries(labels, Path(label_dir), split, out_dir, split)
    if target == "padded":
        _write_padded(label_dir, split, columns, out_dir, padded, watch)
    elif target == "packed":
        _write_packed(labels, Path(label_dir), out_dir, split, label_rate_hz, watch)
    else:
        for column in columns:
            _refuse_itself(labels, out_dir / f"{split}.{column}")
        with TextWriter(out_dir, split, columns) as text:
            for codes in watch(_tracks(labels), len(labels)):
                text.append(codes)
    copy_dictionaries(Path(label_dir), out_dir, columns)
    carry_records(labels, Path(label_dir), split, out_dir)
    return labels


def _write_packed(
    labels: JoinedLabels, label_dir: Path, out_dir: Path, split: str, label_rate_hz: float | None, watch: Watch
) -> None:
    prefix = out_dir / f"{split}.{family_name(labels.columns)}"
    _refuse_itself(labels, packed_files(prefix)[0])
    rates = {part.label_rate_hz for part in labels.parts if isinstance(part, PackedLabels)}
    rate_hz = label_rate_hz or next(iter(rates), None)
    with (
        replacing_packed(out_dir, split, labels.columns, prefix),
        PackedWriter(prefix, labels.columns, rate_hz, common_job(labels, label_dir, split)) as packed,
    ):
        for codes in watch(_tracks(labels), len(labels)):
            packed.append(codes)


def _write_padded(
    label_dir: str | Path, split: str, columns: Sequence[str], out_dir: Path, padded: bool, watch: Watch
) -> None:
    for column in columns:
        labels = open_labels(label_dir, split, [column], padded)
        path = out_dir / f"{split}.{column}.npy"
        _refuse_itself(labels, path)
        write_padded(path, _Column(labels, watch))


class _Column:
    """The codes of a single label, (frames,) a track, read anew by every loop."""

    def __init__(self, labels: JoinedLabels, watch: Watch) -> None:
        self.labels, self.watch = labels, watch

    def __iter__(self) -> Iterator[np.ndarray]:
        return (codes[:, 0] for codes in self.watch(_tracks(self.labels), len(self.labels)))


def open_form(label_dir: str | Path, split: str, columns: Sequence[str], form: str) -> JoinedLabels:
    """Open the labels of one form, whatever lies beside them."""
    folder = Path(label_dir)
    if form == "text":
        return JoinedLabels([TextLabels(folder / f"{split}.{column}", column) for column in columns])
    if form == "packed":
        return JoinedLabels([PackedLabels(folder / f"{split}.{family_name(columns)}", columns)])
    return open_labels(folder, split, columns, padded=True)


def same_labels(
    first: JoinedLabels,
    second: JoinedLabels,
    watch: Callable[[Iterator[int], int], Iterator[int]] = lambda tracks, total: tracks,
) -> bool:
    """Whether two readers give the same codes for every track."""
    return len(first) == len(second) and all(
        np.array_equal(first.codes(track), second.codes(track)) for track in watch(iter(range(len(first))), len(first))
    )


def _tracks(labels: JoinedLabels) -> Iterator[np.ndarray]:
    return (labels.codes(track) for track in range(len(labels)))


def refuse_uneven(labels: JoinedLabels) -> None:
    """Refuse to write labels together that differ in length: a track would lose what the shortest lacks.

    Raises:
        LabelError: naming the first such track.
    """
    for part in labels.parts:
        uneven = np.flatnonzero(part.frames != labels.frames)
        if len(uneven):
            track = int(uneven[0])
            raise LabelError(
                f"{part.where(track)}: found {part.frames[track]} codes, expected {labels.frames[track]} as in the "
                f"other labels of the track. Take labels of different length one by one (--labels)."
            )


def _refuse_itself(labels: JoinedLabels, target: Path) -> None:
    for part in labels.parts:
        if Path(part.source).resolve() == target.resolve():
            raise LabelError(f"{target}: is the file to be read. Write to another folder (--out-dir) or form (--to).")


def refuse_foreign_dictionaries(
    labels: JoinedLabels, label_dir: Path, split: str, out_dir: Path, out_split: str
) -> None:
    """Refuse to replace a dictionary that labels of another teacher use.

    Raises:
        LabelError: naming the dictionary and these labels.
    """
    for part in labels.parts:
        known = provenance(part, label_dir, split)
        for column in part.columns:
            source, target = (folder / f"dict.{column}.txt" for folder in (label_dir, out_dir))
            if not (source.is_file() and target.is_file()) or source.read_bytes() == target.read_bytes():
                continue
            teacher = known[column].teacher if column in known else None
            if users := other_users(out_dir, out_split, column, teacher):
                raise LabelError(
                    f"{target}: is the dictionary of {next(iter(users.values()))} too, and differs from {source}. "
                    f"Write to another folder (--out-dir), or delete the other labels with their dictionary first."
                )


def copy_dictionaries(label_dir: Path, out_dir: Path, columns: Sequence[str]) -> None:
    """Put the dictionaries of labels beside them, in the place of any that were there: those are of other labels."""
    for column in columns:
        source, target = label_dir / f"dict.{column}.txt", out_dir / f"dict.{column}.txt"
        if source.is_file() and source.resolve() != target.resolve():
            with replacing(target) as partial:
                shutil.copyfile(source, partial)
