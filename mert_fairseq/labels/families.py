"""Labels of one folder by their dictionaries, and families: ``rvq`` for rvq_0, rvq_1, ..."""

import re
from collections.abc import Iterable
from pathlib import Path

from mert_fairseq.labels.dictionary_users import labelled_splits
from mert_fairseq.labels.reader import LabelError


def label_names(label_dir: str | Path) -> list[str]:
    """Labels that have a dictionary in a folder, rvq_2 before rvq_10.

    Raises:
        LabelError: if there is none.
    """
    names = _with_dictionary(label_dir)
    if not names:
        raise LabelError(f"{label_dir}: found no dict.{{label}}.txt, expected one a label. Name the labels (--labels).")
    return names


def expand_families(names: Iterable[str], label_dir: str | Path) -> list[str]:
    """Replace each family by its members; see ``expand_family``."""
    return [member for name in names for member in expand_family(name, label_dir)]


def expand_family(name: str, label_dir: str | Path) -> list[str]:
    """The labels that a name stands for.

    Args:
        name: a label, which stands for itself; or a family, such as ``rvq`` for ``rvq_0`` to ``rvq_7``.
        label_dir: folder of the dictionaries.

    Raises:
        LabelError: if there are neither labels or a dictionary of that name nor a family with numbers from 0 on;
            lists what was found.
    """
    known = _with_dictionary(label_dir)
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


def _with_dictionary(label_dir: str | Path) -> list[str]:
    names = [path.name.removeprefix("dict.").removesuffix(".txt") for path in Path(label_dir).glob("dict.*.txt")]
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])
