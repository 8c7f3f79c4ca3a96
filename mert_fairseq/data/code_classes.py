"""Codes to classes: what the label files hold to what the loss predicts."""

from collections.abc import Sequence

import numpy as np

from mert_fairseq.labels import FrameLabels, LabelDictionary, LabelError


class ClassTable:
    """The class of each code of each column, by its dictionary."""

    def __init__(self, dictionaries: Sequence[LabelDictionary]) -> None:
        self._dictionaries = dictionaries
        lookups = [dictionary.lookup() for dictionary in dictionaries]
        self._table = np.full((len(lookups), max(map(len, lookups))), -1, dtype=np.int64)
        for row, lookup in zip(self._table, lookups, strict=True):
            row[: len(lookup)] = lookup
        self._columns = np.arange(len(lookups))

    def classes(self, codes: np.ndarray, labels: FrameLabels, track: int) -> np.ndarray:
        """Classes of a track's codes.

        Args:
            codes: (frames, Q) integers, not negative.
            labels: where they come from, for messages.
            track: likewise.

        Returns:
            (frames, Q) int64.

        Raises:
            LabelError: if a code is outside its dictionary.
        """
        codes = codes.astype(np.int64)
        classes = self._table[self._columns, np.minimum(codes, self._table.shape[1] - 1)]
        wrong = (classes < 0) | (codes >= self._table.shape[1])
        if wrong.any():
            frame, column = np.argwhere(wrong)[0].tolist()
            raise unknown_code(
                labels.where(track, column),
                labels.columns[column],
                int(codes[frame, column]),
                self._dictionaries[column],
            )
        return classes


def unknown_code(where: str, column: str, code: int, dictionary: LabelDictionary) -> LabelError:
    return LabelError(
        f"{where}: found code {code} of {column}, expected one of the {len(dictionary.symbols)} in {dictionary.path}. "
        f"Labels and dictionary are not of the same teacher: make both again, or correct task.label_dir."
    )
