"""Packed labels: one memory-mapped array with the codes of all tracks end to end, one column per codebook.

``{split}.{name}.codes.npy``    (frames of all tracks, Q) uint16
``{split}.{name}.offsets.npy``  (tracks + 1,) int64: track i has frames offsets[i] to offsets[i + 1]
``{split}.{name}.codes.json``   label names and largest codes of the columns, the label rate, settings

A million tracks of 30 s with 8 codebooks take 36 GB on disk and 8 MB in memory.
"""

import json
from array import array
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mert_fairseq.files import replacing
from mert_fairseq.labels.reader import MAX_CODE, FrameLabels, LabelError

FORMAT = {"format": "mert_fairseq packed labels", "version": 1}


class PackedLabels(FrameLabels):
    """Some or all columns of one packed file.

    Args:
        prefix: path without ``.codes.npy``, such as ``labels/train.rvq``.
        columns: label names in the desired order; None for all.

    Attributes:
        label_rate_hz: labels per second, or None if unknown.
        settings: JSON values that the writer stored, such as the record of the label job.
    """

    def __init__(self, prefix: str | Path, columns: Sequence[str] | None = None) -> None:
        self._files = packed_files(prefix)
        self.source = str(self._files[0])
        header = read_header(prefix)
        held = header["columns"]
        self.columns = tuple(held if columns is None else columns)
        if missing := [name for name in self.columns if name not in held]:
            raise LabelError(f"{self._files[2]}: found the labels {held}, expected {missing} too. Correct task.labels.")
        self._column_indices = [held.index(name) for name in self.columns]
        self.max_codes = [header["max_codes"][index] for index in self._column_indices]
        self.label_rate_hz, self.settings = header["label_rate_hz"], header["settings"]
        self._offsets = self._load(self._files[1], None)
        self.frames = np.diff(self._offsets)
        if (
            self._codes.shape != (self._offsets[-1], len(held))
            or self._codes.dtype != np.uint16
            or self.frames.min(initial=0) < 0
        ):
            raise LabelError(
                f"{self._files[0]}: found {self._codes.dtype} of shape {self._codes.shape}, expected uint16 of shape "
                f"({self._offsets[-1]}, {len(held)}) by {self._files[1].name}. Pack the labels again."
            )

    @property
    def header_path(self) -> Path:
        """The ``.codes.json``."""
        return self._files[2]

    def where(self, track: int, column: int | None = None) -> str:
        return f"{self._files[0]}: track {track}"

    @cached_property
    def _codes(self) -> np.ndarray:
        return self._load(self._files[0], "r")

    def _load(self, path: Path, mode: Any) -> np.ndarray:
        try:
            return np.load(path, mmap_mode=mode, allow_pickle=False)
        except (ValueError, OSError) as error:
            raise LabelError(f"{path}: {error}; expected a complete .npy file. Pack the labels again.") from error

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_codes"}

    def _read(self, track: int, first: int, last: int) -> np.ndarray:
        start = int(self._offsets[track])
        codes = np.array(self._codes[start + first : start + last])
        return codes if self._column_indices == list(range(codes.shape[1])) else codes[:, self._column_indices]


class PackedWriter:
    """Write packed labels track by track, in bounded memory; the files appear when the ``with`` block succeeds.

    Args:
        prefix: path without ``.codes.npy``, such as ``labels/train.rvq``.
        columns: label names.
        label_rate_hz: labels per second.
        settings: JSON values to store with the codes.
    """

    def __init__(
        self,
        prefix: str | Path,
        columns: Sequence[str],
        label_rate_hz: float | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.columns = tuple(columns)
        self._files = packed_files(prefix)
        self._header = {"columns": list(columns), "label_rate_hz": label_rate_hz, "settings": settings or {}}
        self._offsets = array("q", [0])
        self._max_codes = np.zeros(len(self.columns), dtype=np.int64)

    def __enter__(self) -> "PackedWriter":
        with ExitStack() as stack:
            self._file = stack.enter_context(stack.enter_context(replacing(self._files[0])).open("wb"))
            self._write_npy_header()
            self._open_files = stack.pop_all()  # on exit: closes and renames the file, or removes it
        return self

    def append(self, codes: np.ndarray) -> None:
        """Add a track.

        Args:
            codes: (frames, Q) integers from 0 to 65,535.

        Raises:
            ValueError: if the shape or type is wrong, or a code is out of range.
        """
        codes = np.asarray(codes)
        if codes.ndim != 2 or codes.shape[1] != len(self.columns) or codes.dtype.kind not in "iu":
            raise ValueError(
                f"{self._files[0]}: found track {len(self._offsets) - 1} as {codes.dtype} of shape {codes.shape}, "
                f"expected integers of shape (frames, {len(self.columns)})."
            )
        if codes.size:
            if codes.min() < 0 or codes.max() > MAX_CODE:
                raise ValueError(
                    f"{self._files[0]}: track {len(self._offsets) - 1} holds codes from {codes.min()} to "
                    f"{codes.max()}, expected 0 to {MAX_CODE}. Keep larger codes as text."
                )
            np.maximum(self._max_codes, codes.max(axis=0), out=self._max_codes)
        self._file.write(np.ascontiguousarray(codes, dtype="<u2").tobytes())
        self._offsets.append(self._offsets[-1] + len(codes))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._open_files.__exit__(kind, error, trace)
            return
        with self._open_files:
            self._file.seek(0)
            self._write_npy_header()
            self._files[2].unlink(missing_ok=True)  # a header means complete arrays: remove it first, write it last
        with replacing(self._files[1]) as partial, partial.open("wb") as file:
            np.save(file, np.array(self._offsets, dtype=np.int64))
        sizes = {"tracks": len(self._offsets) - 1, "frames": self._offsets[-1]}
        header = {**FORMAT, **self._header, **sizes, "max_codes": self._max_codes.tolist()}
        with replacing(self._files[2]) as partial:
            partial.write_text(json.dumps(header, indent=2, sort_keys=True) + "\n")

    def _write_npy_header(self) -> None:
        """Write the header of the .npy; numpy reserves room in it, so the final header is as long as the first one."""
        shape = (self._offsets[-1], len(self.columns))
        np.lib.format.write_array_header_1_0(self._file, {"descr": "<u2", "fortran_order": False, "shape": shape})


def packed_files(prefix: str | Path) -> tuple[Path, Path, Path]:
    """Paths of the codes, the offsets and the header of a packed file."""
    folder, name = Path(prefix).parent, Path(prefix).name
    return folder / f"{name}.codes.npy", folder / f"{name}.offsets.npy", folder / f"{name}.codes.json"


def read_header(prefix: str | Path) -> dict[str, Any]:
    """Read the header of packed labels.

    Raises:
        LabelError: if it is missing, not JSON, or of another format or version.
    """
    path = packed_files(prefix)[2]
    try:
        header = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise LabelError(
            f"{path}: cannot be read ({error}), expected the header of packed labels. Pack the labels again with "
            f"preprocess/convert_labels.py."
        ) from error
    if not isinstance(header, dict) or {key: header.get(key) for key in FORMAT} != FORMAT:
        raise LabelError(
            f"{path}: found another format or version, expected {FORMAT}. Pack the labels again with "
            f"preprocess/convert_labels.py."
        )
    return header
