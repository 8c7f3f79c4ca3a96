"""A shard: one of n stretches of a manifest, of about equal length in samples."""

import re
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, order=True)
class Shard:
    """Number ``index`` of ``count``, from 0."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read ``i/n``.

        Raises:
            ValueError: if it is another form, or i is not below n.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if not match or int(match[1]) >= int(match[2]):
            raise ValueError(f"found {text}, expected i/n with i from 0 to n - 1, such as 0/4, 1/4, 2/4 and 3/4.")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def tracks(self, samples: np.ndarray) -> range:
        """The tracks whose middle lies in this shard's stretch; every track is in exactly one shard.

        Args:
            samples: (tracks,) lengths.
        """
        ends = np.cumsum(samples, dtype=np.float64)
        middles = ends - samples / 2
        total = ends[-1] if len(ends) else 0.0
        bounds = np.searchsorted(middles, [total * self.index / self.count, total * (self.index + 1) / self.count])
        return range(int(bounds[0]), len(samples) if self.index == self.count - 1 else int(bounds[1]))
