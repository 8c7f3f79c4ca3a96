"""A stream of blocks of any size, recut into windows that overlap: long tracks in bounded memory."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np


class Window(NamedTuple):
    """A stretch of a track with the neighbourhood that its frames see."""

    wave: np.ndarray  # (lead + core + up to context,) float32
    lead_samples: int  # belong to the window before
    core_samples: int


def windows(
    blocks: Iterable[np.ndarray], core_samples: int, lead_samples: int, follow_samples: int
) -> Iterator[Window]:
    """Cut a stream so that the cores follow one another, whatever the sizes of the blocks.

    Args:
        blocks: (n,) float32 each.
        core_samples: of every window but the last, which is shorter.
        lead_samples: kept before the core, fewer at the start of the track.
        follow_samples: kept behind the core, fewer at its end.
    """
    held = np.empty(0, dtype=np.float32)
    lead = 0
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= lead + core_samples + follow_samples:
            yield Window(held[: lead + core_samples + follow_samples], lead, core_samples)
            drop = max(0, lead + core_samples - lead_samples)
            held, lead = held[drop:], lead + core_samples - drop
    while len(held) > lead:
        core = min(core_samples, len(held) - lead)
        yield Window(held[: lead + core + follow_samples], lead, core)
        drop = max(0, lead + core - lead_samples)
        held, lead = held[drop:], lead + core - drop
