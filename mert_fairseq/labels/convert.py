"""Convert labels between text, padded and packed files, without loss."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mert_fairseq.files import replacing
from mert_fairseq.labels.label_folder import dictionary_users, open_labels
from mert_fairseq.labels.packed import PackedLabels, PackedWriter, packed_files
from mert_fairseq.labels.packed_index import family_name, replacing_packed
from mert_fairseq.labels.padded import write_padded
from mert_fairseq.labels.provenance import common_job, copy_sidecars, provenance
from mert_fairseq.labels.reader import JoinedLabels, LabelError
from mert_fairseq.labels.text import TextLabels, TextWriter

FORMS = ("packed", "text", "padded")
Progress = Callable[[Iterator[np.ndarray], int], Iterator[np.ndarray]]


def convert_labels(
    label_dir: str | Path,
    split: str,
    columns: Sequence[str],
    target: str,
    out_dir: str | Path,
    padded: bool = False,
    label_rate_hz: float | None = None,
    progress: Progress = lambda tracks, total: tracks,
) -> JoinedLabels:
    """Write a split's labels in another form, with their dictionaries.

    Args:
        label_dir: folder of the labels.
        split: such as ``train``.
        columns: label names.
        target: one of FORMS.
        out_dir: created if needed.
        padded: read padded files; otherwise packed files where there are some, else text.
        label_rate_hz: recorded in packed files; None takes that of a packed source.
        progress: wraps the iterator of tracks, whose number it gets, for a progress bar.

    Returns:
        The labels that were read.

    Raises:
        LabelError: if the columns of a track differ in length, the target file is the source file, or the target
            would replace a packed file that holds other labels too, or a dictionary that other labels use.
    """
    labels = open_labels(label_dir, split, columns, padded)
    check_equal_lengths(labels)
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    check_dictionaries(labels, Path(label_dir), split, out_dir, split)
    if target == "padded":
        _write_padded(label_dir, split, columns, out_dir, padded, progress)
    elif target == "packed":
        _write_packed(labels, Path(label_dir), out_dir, split, label_rate_hz, progress)
    else:
        for column in columns:
            _check_not_source(labels, out_dir / f"{split}.{column}")
        with TextWriter(out_dir, split, columns) as text:
            for codes in progress(_tracks(labels), len(labels)):
                text.append(codes)
    copy_dictionaries(Path(label_dir), out_dir, columns)
    copy_sidecars(labels, Path(label_dir), split, out_dir)
    return labels


def _write_packed(
    labels: JoinedLabels, label_dir: Path, out_dir: Path, split: str, label_rate_hz: float | None, progress: Progress
) -> None:
    prefix = out_dir / f"{split}.{family_name(labels.columns)}"
    _check_not_source(labels, packed_files(prefix)[0])
    rates = {part.label_rate_hz for part in labels.parts if isinstance(part, PackedLabels)}
    rate_hz = label_rate_hz or next(iter(rates), None)
    with (
        replacing_packed(out_dir, split, labels.columns, prefix),
        PackedWriter(prefix, labels.columns, rate_hz, common_job(labels, label_dir, split)) as packed,
    ):
        for codes in progress(_tracks(labels), len(labels)):
            packed.append(codes)


def _write_padded(
    label_dir: str | Path, split: str, columns: Sequence[str], out_dir: Path, padded: bool, progress: Progress
) -> None:
    for column in columns:
        labels = open_labels(label_dir, split, [column], padded)
        path = out_dir / f"{split}.{column}.npy"
        _check_not_source(labels, path)
        write_padded(path, _Column(labels, progress))


class _Column:
    """The codes of a single label, (frames,) per track; each loop reads them from the file again."""

    def __init__(self, labels: JoinedLabels, progress: Progress) -> None:
        self.labels, self.progress = labels, progress

    def __iter__(self) -> Iterator[np.ndarray]:
        return (codes[:, 0] for codes in self.progress(_tracks(self.labels), len(self.labels)))


def open_form(label_dir: str | Path, split: str, columns: Sequence[str], form: str) -> JoinedLabels:
    """Open labels of one form, even if the folder has other forms of them."""
    folder = Path(label_dir)
    if form == "text":
        return JoinedLabels([TextLabels(folder / f"{split}.{column}", column) for column in columns])
    if form == "packed":
        return JoinedLabels([PackedLabels(folder / f"{split}.{family_name(columns)}", columns)])
    return open_labels(folder, split, columns, padded=True)


def same_labels(
    first: JoinedLabels,
    second: JoinedLabels,
    progress: Callable[[Iterator[int], int], Iterator[int]] = lambda tracks, total: tracks,
) -> bool:
    """Whether two readers return the same codes for every track."""
    return len(first) == len(second) and all(
        np.array_equal(first.codes(track), second.codes(track))
        for track in progress(iter(range(len(first))), len(first))
    )


def _tracks(labels: JoinedLabels) -> Iterator[np.ndarray]:
    return (labels.codes(track) for track in range(len(labels)))


def check_equal_lengths(labels: JoinedLabels) -> None:
    """Raise if the labels of a track differ in length: writing them together would cut the longer ones.

    Raises:
        LabelError: naming the first such track.
    """
    for part in labels.parts:
        uneven = np.flatnonzero(part.frames != labels.frames)
        if len(uneven):
            track = int(uneven[0])
            raise LabelError(
                f"{part.where(track)}: found {part.frames[track]} codes, expected {labels.frames[track]} as in the "
                f"other labels of the track. Give labels of different lengths in separate runs (--labels)."
            )


def _check_not_source(labels: JoinedLabels, target: Path) -> None:
    for part in labels.parts:
        if Path(part.source).resolve() == target.resolve():
            raise LabelError(
                f"{target}: is both the file to read and the file to write. Write to another folder (--out-dir) or "
                f"form (--to)."
            )


def check_dictionaries(labels: JoinedLabels, label_dir: Path, split: str, out_dir: Path, out_split: str) -> None:
    """Raise if a copy would replace a dictionary that labels of another teacher use.

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
            if users := dictionary_users(out_dir, out_split, column, teacher):
                raise LabelError(
                    f"{target}: is also the dictionary of {next(iter(users.values()))}, and differs from {source}. "
                    f"Write to another folder (--out-dir), or delete the other labels with their dictionary first."
                )


def copy_dictionaries(label_dir: Path, out_dir: Path, columns: Sequence[str]) -> None:
    """Copy the dictionaries of labels; existing ones are replaced, because they describe other labels."""
    for column in columns:
        source, target = label_dir / f"dict.{column}.txt", out_dir / f"dict.{column}.txt"
        if source.is_file() and source.resolve() != target.resolve():
            with replacing(target) as partial:
                shutil.copyfile(source, partial)
