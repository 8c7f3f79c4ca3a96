"""Find the label files of a split, in their three forms."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mert_fairseq.labels import FrameLabels, PackedLabels, PaddedLabels, TextLabels

NPY_MAGIC = b"\x93NUMPY"
PACKED_SUFFIXES = (".codes.npy", ".offsets.npy", ".codes.json")
OTHER_SUFFIXES = (".json", ".jsonl", ".partial", ".log", ".lock", ".txt", ".tsv")  # sidecars and the like
HEAD_BYTES = 4096


class LabelFile(NamedTuple):
    """Labels of a split: their form (text, padded or packed), file, name, and how to open them."""

    form: str
    path: Path
    name: str
    open: Callable[[], FrameLabels]


def find_label_files(label_dir: Path, split: str, splits: Iterable[str]) -> tuple[list[LabelFile], list[Path]]:
    """All files of a split that hold labels, and those of its name that seem to hold something else.

    A text file holds labels if there is a dictionary of its name, or nothing but digits and blanks at its beginning.

    Args:
        split: whose files to find.
        splits: all of them: ``train.live.rvq_0`` belongs to ``train.live`` if there is such a split.
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
