"""Which labels use a dictionary: it must not be counted anew while labels of another teacher do."""

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mert_fairseq.labels.packed import packed_files, read_header
from mert_fairseq.labels.packed_index import HEADER_END, packed_homes
from mert_fairseq.labels.provenance import Provenance, recorded_columns, teacher_of


def labelled_splits(label_dir: Path, column: str) -> dict[str, Path]:
    """The splits that have labels of a name, and a file of each, whatever its form."""
    found: dict[str, Path] = {}
    for ending in (f".{column}", f".{column}.npy"):
        for path in sorted(label_dir.glob(f"*{glob.escape(ending)}")):
            found.setdefault(path.name.removesuffix(ending), path)
    for header in sorted(label_dir.glob(f"*{HEADER_END}")):
        split = header.name.removesuffix(HEADER_END).rpartition(".")[0]
        if column in (homes := packed_homes(label_dir, split)):
            found[split] = packed_files(homes[column])[2]
    return found


def other_users(label_dir: Path, split: str, column: str, teacher: Mapping[str, Any] | None) -> dict[str, Path]:
    """Labels of the other splits that use the dictionary of ``column`` and are not known to be of ``teacher``.

    Args:
        label_dir: folder of labels and dictionaries.
        split: the one that is not looked at.
        column: label name.
        teacher: the record of a labelling job; None for labels without one.

    Returns:
        A file of each such split.
    """
    users = {}
    for other, path in labelled_splits(label_dir, column).items():
        if other != split:
            known = None
            if path.name.endswith(HEADER_END):
                prefix = path.with_name(path.name.removesuffix(HEADER_END))
                known = Provenance.of(path, other, read_header(prefix)["settings"])
            known = known or recorded_columns(label_dir, other).get(column)
            if known is None or teacher is None or known.teacher != teacher_of(teacher):
                users[other] = path
    return users
