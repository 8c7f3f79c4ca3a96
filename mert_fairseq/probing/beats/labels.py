"""Beat times as targets of frames, widened in training as MARBLE's versions do."""

from collections.abc import Sequence

import numpy as np

# weights of the frames at distance 1, 2, ... from the labelled one; training only
WIDENING: dict[str, dict[str, tuple[float, ...]]] = {
    "none": {"beat": (), "downbeat": ()},
    "v1_softmax": {"beat": (1.0,), "downbeat": ()},  # two-class prober of version 1
    "v1": {"beat": (0.95, 0.5), "downbeat": (0.95, 0.5, 0.25)},
    "v2": {"beat": (0.5, 0.25), "downbeat": (0.5, 0.25)},
}


def frame_targets(times: Sequence[float], frames: int, rate_hz: float, widths: Sequence[float] = ()) -> np.ndarray:
    """Mark frame round(rate x time), and its neighbours by ``widths``; where marks overlap, the larger stays.

    Args:
        times: in seconds; those beyond the last frame are left out.
        frames: F.
        rate_hz: frames per second.
        widths: weight at distance 1, 2, ... on both sides.

    Returns:
        (F,) float32 in [0, 1].
    """
    targets = np.zeros(frames, dtype=np.float32)
    marks = np.rint(np.asarray(times, dtype=np.float64) * rate_hz).astype(np.int64)
    for distance, weight in enumerate((1.0, *widths)):
        for places in {1: (marks,), 2: (marks - distance, marks + distance)}[1 if distance == 0 else 2]:
            inside = places[(places >= 0) & (places < frames)]
            targets[inside] = np.maximum(targets[inside], weight)
    return targets
