"""Padded labels ``{split}.{label}.npy``: one row per track, padded with -1 after its last code; memory-mapped."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mert_fairseq.files import replacing
from mert_fairseq.labels.reader import FrameLabels, LabelError


class PaddedLabels(FrameLabels):
    """One label of a split, read from a padded file."""

    def __init__(self, path: str | Path, column: str) -> None:
        self.path, self.source = Path(path), str(path)
        self.columns = (column,)
        if not self.path.is_file():
            raise LabelError(
                f"{self.path}: no such label file. Convert text labels (preprocess/convert_labels.py --to padded), or "
                f"set task.numpy_memmap_label to false."
            )
        if self._rows.ndim != 2 or self._rows.dtype.kind not in "iu":
            raise LabelError(
                f"{self.path}: found {self._rows.dtype} of shape {self._rows.shape}, expected integers of shape "
                f"(tracks, frames), padded with -1. Convert the labels again."
            )
        self.frames = _count_codes(self._rows)

    def where(self, track: int, column: int | None = None) -> str:
        return f"{self.path}: row {track}"

    @cached_property
    def _rows(self) -> np.ndarray:
        try:
            return np.load(self.path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise LabelError(
                f"{self.path}: {error}; expected a complete .npy file. Convert the labels again."
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_rows"}

    def _read(self, track: int, first: int, last: int) -> np.ndarray:
        codes = np.array(self._rows[track, first:last])[:, None]
        if codes.size and codes.min() < 0:
            raise LabelError(
                f"{self.where(track)}: found {codes.min()} before the last code, expected -1 only after it. Convert "
                f"the labels again."
            )
        return codes


def write_padded(path: str | Path, tracks: Iterable[np.ndarray]) -> None:
    """Write one label of a split, as int16 if the codes fit, else int32, with one track in memory at a time.

    Args:
        path: of the .npy.
        tracks: (frames,) integers each; read twice, first for their number, lengths and largest code.

    Raises:
        TypeError: if ``tracks`` can be read only once.
    """
    if iter(tracks) is tracks:
        raise TypeError(
            f"{path}: found an iterator of tracks, expected a list or another iterable that can be read "
            f"twice. Pass a list."
        )
    rows = widest = largest = 0
    for codes in tracks:
        rows, widest = rows + 1, max(widest, len(codes))
        largest = max(largest, int(codes.max(initial=0)))
    with replacing(path) as partial:
        dtype = np.int16 if largest < 1 << 15 else np.int32
        padded = np.lib.format.open_memmap(partial, mode="w+", dtype=dtype, shape=(rows, widest))
        for row, codes in zip(padded, tracks, strict=True):
            row[: len(codes)], row[len(codes) :] = codes, -1
        padded.flush()


def _count_codes(rows: np.ndarray) -> np.ndarray:
    """(tracks,) int64 codes before the -1s of each row, by bisection: about twelve reads per row, not one per frame."""
    low = np.zeros(len(rows), dtype=np.int64)
    high = np.full(len(rows), rows.shape[1], dtype=np.int64)
    all_rows = np.arange(len(rows))
    while (open_rows := low < high).any():
        middle = (low + high) // 2
        is_code = rows[all_rows[open_rows], middle[open_rows]] >= 0
        low[open_rows] = np.where(is_code, middle[open_rows] + 1, low[open_rows])
        high[open_rows] = np.where(is_code, high[open_rows], middle[open_rows])
    return low
