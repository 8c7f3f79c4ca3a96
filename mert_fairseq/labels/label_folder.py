"""The labels of a folder: open them in any form, list their names, expand families, find the users of a dictionary."""

import glob
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from mert_fairseq.labels.packed import PackedLabels, packed_files, read_header
from mert_fairseq.labels.packed_index import HEADER_END, packed_prefixes
from mert_fairseq.labels.padded import PaddedLabels
from mert_fairseq.labels.provenance import Provenance, recorded_provenance, teacher_fields
from mert_fairseq.labels.reader import FrameLabels, JoinedLabels, LabelError
from mert_fairseq.labels.text import TextLabels

logger = logging.getLogger(__name__)
NPY_MAGIC = b"\x93NUMPY"


def open_labels(label_dir: str | Path, split: str, columns: Sequence[str], padded: bool = False) -> JoinedLabels:
    """Open the labels of a split: packed files if they hold them, else text; logs which form it found.

    Args:
        label_dir: folder of the label files.
        split: such as ``train``.
        columns: label names, such as ``["rvq_0", "rvq_1"]``.
        padded: read ``{split}.{label}.npy`` instead.

    Raises:
        LabelError: if a label is in no file, or in two packed files.
    """
    folder = Path(label_dir)
    if padded:
        logger.info(f"labels of {split}: padded .npy in {folder}")
        return JoinedLabels([PaddedLabels(_padded_path(folder, split, column), column) for column in columns])
    prefixes = packed_prefixes(folder, split)
    parts: list[FrameLabels] = []
    for prefix, group in groupby(columns, lambda column: prefixes.get(column)):
        names = list(group)
        if prefix is None:
            logger.info(f"labels of {split}: text, {', '.join(names)} in {folder}")
            parts += [TextLabels(folder / f"{split}.{name}", name) for name in names]
        else:
            logger.info(f"labels of {split}: packed, {', '.join(names)} in {packed_files(prefix)[0]}")
            _warn_if_text_is_newer(folder, split, names, packed_files(prefix)[2])
            parts.append(PackedLabels(prefix, names))
    return JoinedLabels(parts)


def _warn_if_text_is_newer(folder: Path, split: str, columns: Sequence[str], header: Path) -> None:
    for text in (folder / f"{split}.{column}" for column in columns):
        if text.is_file() and text.stat().st_mtime > header.stat().st_mtime:
            logger.warning(
                f"{text} is newer than {header}, which is used. If you made the labels again, pack them again with "
                f"preprocess/convert_labels.py, or remove the packed files."
            )
            return


def _padded_path(folder: Path, split: str, column: str) -> Path:
    """``{split}.{label}.npy``, or ``{split}.{label}`` if its first bytes are those of a .npy file."""
    bare = folder / f"{split}.{column}"
    if bare.is_file():
        with bare.open("rb") as file:
            if file.read(len(NPY_MAGIC)) == NPY_MAGIC:
                return bare
    return folder / f"{split}.{column}.npy"


def label_names(label_dir: str | Path) -> list[str]:
    """Labels that have a dictionary in a folder, rvq_2 before rvq_10.

    Raises:
        LabelError: if there is none.
    """
    names = _names_with_dictionary(label_dir)
    if not names:
        raise LabelError(
            f"{label_dir}: found no dict.{{label}}.txt, expected one per label. Name the labels (--labels)."
        )
    return names


def expand_families(names: Iterable[str], label_dir: str | Path) -> list[str]:
    """Replace each family by its labels; see ``expand_family``."""
    return [member for name in names for member in expand_family(name, label_dir)]


def expand_family(name: str, label_dir: str | Path) -> list[str]:
    """Return the labels of a family, or the label itself.

    Args:
        name: a label, or a family such as ``rvq``, which means ``rvq_0``, ``rvq_1``, ... as found in the folder.
        label_dir: folder of the dictionaries.

    Raises:
        LabelError: if the folder has neither labels nor a dictionary of that name, nor a family numbered from 0
            without gaps; the message lists what was found.
    """
    known = _names_with_dictionary(label_dir)
    stem, _, number = name.rpartition("_")
    if name in known or (stem and number.isdigit()) or labelled_splits(Path(label_dir), name):
        return [name]
    members = [other for other in known if re.fullmatch(rf"{re.escape(name)}_\d+", other)]
    if members and members == [f"{name}_{place}" for place in range(len(members))]:
        return members
    if members:
        raise LabelError(
            f"{label_dir}: found {', '.join(members)}, expected {name}_0, {name}_1, ... without gaps for the family "
            f"{name}. Name the labels that you mean: [{', '.join(members)}]."
        )
    raise LabelError(
        f"{Path(label_dir) / f'dict.{name}.txt'}: no such dictionary, and none of a family {name}_0, {name}_1, ...; "
        f"found the labels {', '.join(known) or '(none)'}. The label tools write dictionaries beside the labels: "
        f"correct the name or the label folder."
    )


def _names_with_dictionary(label_dir: str | Path) -> list[str]:
    names = [path.name.removeprefix("dict.").removesuffix(".txt") for path in Path(label_dir).glob("dict.*.txt")]
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])


def labelled_splits(label_dir: Path, column: str) -> dict[str, Path]:
    """The splits that have labels of a name in any form, each with one of their files."""
    found: dict[str, Path] = {}
    for ending in (f".{column}", f".{column}.npy"):
        for path in sorted(label_dir.glob(f"*{glob.escape(ending)}")):
            found.setdefault(path.name.removesuffix(ending), path)
    for header in sorted(label_dir.glob(f"*{HEADER_END}")):
        split = header.name.removesuffix(HEADER_END).rpartition(".")[0]
        if column in (prefixes := packed_prefixes(label_dir, split)):
            found[split] = packed_files(prefixes[column])[2]
    return found


def dictionary_users(label_dir: Path, split: str, column: str, teacher: Mapping[str, Any] | None) -> dict[str, Path]:
    """Find labels of other splits that use the dictionary of ``column`` and may come from another teacher.

    Args:
        label_dir: folder of labels and dictionaries.
        split: labels of this split are ignored.
        column: label name.
        teacher: the record of a label job; None for labels without one.

    Returns:
        One file of each such split.
    """
    users = {}
    for other, path in labelled_splits(label_dir, column).items():
        if other != split:
            known = None
            if path.name.endswith(HEADER_END):
                prefix = path.with_name(path.name.removesuffix(HEADER_END))
                known = Provenance.from_record(path, other, read_header(prefix)["settings"])
            known = known or recorded_provenance(label_dir, other).get(column)
            if known is None or teacher is None or known.teacher != teacher_fields(teacher):
                users[other] = path
    return users
