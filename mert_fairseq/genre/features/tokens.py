"""Feature expansion: a track's numbers as a sequence of tokens, one a feature and statistic.

Of FMA's 518 numbers a track, 11 features x 7 statistics make G = 77 tokens of 1 to 20 numbers, zero-padded to W = 20:

    (518,) -> (77, 20)      mfcc/mean: 20 numbers, chroma_cens/std: 12, zcr/skew: 1, ...

Echonest's groups follow as further tokens for the tracks that Echonest knew; longer groups than W are cut into several.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

WIDTH = 20  # numbers a token: of MFCC, the largest of FMA's features


class TokenLayout(NamedTuple):
    """Which numbers belong to which token.

    Attributes:
        names: of the G tokens, such as mfcc/mean.
        sizes: numbers in each, 1 to WIDTH.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of_columns(cls, columns: Sequence[str]) -> "TokenLayout":
        """Columns named a/b/01, a/b/02, ... make a token a/b; neighbours of one group, at most WIDTH together."""
        names, sizes = [], []
        for group, members in groupby(columns, key=lambda column: column.rpartition("/")[0]):
            left, part = len(list(members)), 0
            while left:
                names.append(f"{group}/{part}" if part else group)
                sizes.append(min(left, WIDTH))
                left, part = left - sizes[-1], part + 1
        return cls(tuple(names), tuple(sizes))

    @classmethod
    def of_components(cls, count: int) -> "TokenLayout":
        """Principal components in tokens of WIDTH."""
        return cls.of_columns([f"pca/{number}" for number in range(count)])

    def expand(self, values: np.ndarray) -> np.ndarray:
        """(C,) numbers, C the sum of the sizes, to (G, WIDTH) zero-padded tokens, float32."""
        tokens = np.zeros((len(self.sizes), WIDTH), np.float32)
        tokens[np.arange(WIDTH) < np.array(self.sizes)[:, None]] = values
        return tokens
