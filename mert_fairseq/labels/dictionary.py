"""Label dictionaries ``dict.{label}.txt``: one "symbol count" per line, numbered as in fairseq.

fairseq puts <s>, <pad>, </s> and <unk> before the symbols of the file, so line i, from 0, is class i + 4. Usually
line i holds code i.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mert_fairseq.files import replacing
from mert_fairseq.labels.reader import LabelError

SPECIAL_SYMBOLS = 4
PAD = 1
FILLER = "madeupword"  # fairseq pads dictionaries to a multiple of 8 with these symbols


@dataclass(frozen=True)
class LabelDictionary:
    """The class of each code of a label.

    Attributes:
        path: of the file, for messages.
        symbols: in the order of the file.
        counts: how often each occurs, from the file.
    """

    path: Path
    symbols: tuple[str, ...]
    counts: tuple[int, ...]

    @property
    def classes(self) -> int:
        """Number of classes, including fairseq's special symbols."""
        return SPECIAL_SYMBOLS + len(self.symbols)

    @classmethod
    def read(cls, path: str | Path) -> "LabelDictionary":
        """Read a dictionary.

        Raises:
            LabelError: if it is missing or empty, a line has another form than "code count", or a code is there twice.
        """
        path = Path(path)
        if not path.is_file():
            raise LabelError(
                f"{path}: no such dictionary. The label tools write it beside the labels; correct task.label_dir, or "
                f"write one line 'code count' for each code of the label."
            )
        symbols: dict[str, int] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            symbol, _, count = line.rpartition(" ")
            is_code = symbol.isascii() and symbol.isdigit()
            if not (is_code or symbol.startswith(FILLER)) or not count.isdigit() or symbol in symbols:
                raise LabelError(
                    f"{path}:{number}: found {line!r}, expected a code, a space and a count, each code once. "
                    f"Make the labels and their dictionaries again."
                )
            symbols[symbol] = int(count)
        if not symbols:
            raise LabelError(
                f"{path}: found no symbol, expected one line 'code count' for each code of the label. Make the labels "
                f"and their dictionaries again."
            )
        return cls(path, tuple(symbols), tuple(symbols.values()))

    def lookup(self) -> np.ndarray:
        """(largest code + 1,) int64: the class of each code, or -1 if the code is not in the dictionary."""
        classes = {int(symbol): place for place, symbol in enumerate(self.symbols, SPECIAL_SYMBOLS) if symbol.isdigit()}
        table = np.full(max(classes, default=-1) + 1, -1, dtype=np.int64)
        table[list(classes)] = list(classes.values())
        return table


def write_dictionary(path: str | Path, counts: Sequence[int] | np.ndarray) -> None:
    """Write the dictionary of codes 0, 1, ... with their counts; a code that never occurs is a class too."""
    with replacing(path) as partial:
        partial.write_text("".join(f"{code} {int(count)}\n" for code, count in enumerate(counts)), encoding="utf-8")
