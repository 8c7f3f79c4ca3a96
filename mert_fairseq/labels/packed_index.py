"""Find the packed file of each label, and the files that new labels replace."""

import glob
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mert_fairseq.labels.packed import packed_files, read_header
from mert_fairseq.labels.reader import LabelError

HEADER_END = ".codes.json"


def family_name(columns: Sequence[str]) -> str:
    """Name of a packed file: ``rvq`` for rvq_0 ... rvq_7; a single label keeps its number: ``logmel_300``.

    Several families are joined by a plus: ``rvq+chroma_200``.
    """
    families: dict[str, list[str]] = defaultdict(list)
    for column in columns:
        stem, _, number = column.rpartition("_")
        families[stem if number.isdigit() else column].append(column)
    return "+".join(members[0] if len(members) == 1 else family for family, members in families.items())


def packed_prefixes(folder: Path, split: str) -> dict[str, Path]:
    """The prefix of the packed file that holds each label, by label name.

    Raises:
        LabelError: if two files hold the same label.
    """
    prefixes: dict[str, Path] = {}
    for prefix, columns in _packed_columns(folder, split):
        for column in columns:
            if column in prefixes:
                raise LabelError(
                    f"{packed_files(prefix)[2]}: holds {column}, and so does {packed_files(prefixes[column])[2]}; "
                    f"expected it once. Remove one of them."
                )
            prefixes[column] = prefix
    return prefixes


def files_to_replace(folder: Path, split: str, columns: Sequence[str], target: Path | None = None) -> list[Path]:
    """Prefixes of the packed files that new labels of ``columns`` replace.

    Args:
        folder: of the labels.
        split: such as ``train``.
        columns: label names.
        target: prefix of the packed file to be written; None if none is written.

    Raises:
        LabelError: if such a file holds other labels too, which would be lost.
    """
    replaced = []
    for prefix, held in _packed_columns(folder, split):
        if prefix != target and not set(held) & set(columns):
            continue
        if others := [column for column in held if column not in columns]:
            raise LabelError(
                f"{packed_files(prefix)[0]}: also holds {', '.join(others)}, expected only labels of "
                f"{', '.join(columns)}: the others would be lost. Keep them as text (preprocess/"
                f"convert_labels.py {folder} --to text --splits {split} --labels {' '.join(others)}), remove "
                f"{prefix.name}.codes.* and .offsets.npy, and run the command again."
            )
        replaced.append(prefix)
    return replaced


@contextmanager
def replacing_packed(folder: Path, split: str, columns: Sequence[str], target: Path | None = None) -> Iterator[None]:
    """Write labels of ``columns`` inside this block. If it succeeds, packed files that held them before are removed.

    Arguments and errors are those of ``files_to_replace``.
    """
    replaced = files_to_replace(folder, split, columns, target)
    yield
    for prefix in replaced:
        if prefix != target:
            remove_packed(prefix)


def remove_packed(prefix: Path) -> None:
    """Remove a packed file; the header first, because a header means that the arrays are complete."""
    for path in reversed(packed_files(prefix)):
        path.unlink(missing_ok=True)


def _packed_columns(folder: Path, split: str) -> Iterator[tuple[Path, list[str]]]:
    for header in sorted(folder.glob(f"{glob.escape(split)}.*{HEADER_END}")):
        prefix = header.with_name(header.name.removesuffix(HEADER_END))
        yield prefix, read_header(prefix)["columns"]
