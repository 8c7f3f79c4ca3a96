"""Find the labels of a split in a folder, in whichever form they are."""

import logging
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from mert_fairseq.labels.packed import PackedLabels, packed_files
from mert_fairseq.labels.packed_index import packed_homes
from mert_fairseq.labels.padded import PaddedLabels
from mert_fairseq.labels.reader import FrameLabels, JoinedLabels
from mert_fairseq.labels.text import TextLabels

logger = logging.getLogger(__name__)
NPY_MAGIC = b"\x93NUMPY"


def open_labels(label_dir: str | Path, split: str, columns: Sequence[str], padded: bool = False) -> JoinedLabels:
    """Open the columns of a split: packed files where they hold them, else text; the log says which was taken.

    Args:
        label_dir: folder of the label files.
        split: such as ``train``.
        columns: label names, such as ``["rvq_0", "rvq_1"]``.
        padded: read ``{split}.{label}.npy`` instead.

    Raises:
        LabelError: if a label is in no file, or in two packed ones.
    """
    folder = Path(label_dir)
    if padded:
        logger.info(f"labels of {split}: padded .npy in {folder}")
        return JoinedLabels([PaddedLabels(_padded_path(folder, split, column), column) for column in columns])
    homes = packed_homes(folder, split)
    parts: list[FrameLabels] = []
    for prefix, group in groupby(columns, lambda column: homes.get(column)):
        names = list(group)
        if prefix is None:
            logger.info(f"labels of {split}: text, {', '.join(names)} in {folder}")
            parts += [TextLabels(folder / f"{split}.{name}", name) for name in names]
        else:
            logger.info(f"labels of {split}: packed, {', '.join(names)} in {packed_files(prefix)[0]}")
            _warn_of_newer_text(folder, split, names, packed_files(prefix)[2])
            parts.append(PackedLabels(prefix, names))
    return JoinedLabels(parts)


def _warn_of_newer_text(folder: Path, split: str, columns: Sequence[str], header: Path) -> None:
    for text in (folder / f"{split}.{column}" for column in columns):
        if text.is_file() and text.stat().st_mtime > header.stat().st_mtime:
            logger.warning(
                f"{text} is newer than {header}, which is read. If the labels were made again, pack them again with "
                f"preprocess/convert_labels.py; or remove the packed files."
            )
            return


def _padded_path(folder: Path, split: str, column: str) -> Path:
    """``{split}.{label}.npy``, or ``{split}.{label}`` if that is a .npy file by its first bytes."""
    bare = folder / f"{split}.{column}"
    if bare.is_file():
        with bare.open("rb") as file:
            if file.read(len(NPY_MAGIC)) == NPY_MAGIC:
                return bare
    return folder / f"{split}.{column}.npy"
