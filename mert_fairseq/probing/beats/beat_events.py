"""Beats as events: frame targets from beat times, beats picked from activations, and the F measure."""

from collections.abc import Iterable, Sequence

import mir_eval
import numpy as np
from scipy.signal import find_peaks

NEAREST_SECONDS = 60 / 215  # between two beats, as the network's fastest tempo
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6)
TOLERANCE_SECONDS = 0.07  # of MARBLE's code; its paper says 20 ms
# weights of the frames at distance 1, 2, ... from the labelled one; training only
WIDENING: dict[str, dict[str, tuple[float, ...]]] = {
    "none": {"beat": (), "downbeat": ()},
    "v1_softmax": {"beat": (1.0,), "downbeat": ()},  # two-class prober of version 1
    "v1": {"beat": (0.95, 0.5), "downbeat": (0.95, 0.5, 0.25)},
    "v2": {"beat": (0.5, 0.25), "downbeat": (0.5, 0.25)},
}


def frame_targets(times: Sequence[float], frames: int, rate_hz: float, widths: Sequence[float] = ()) -> np.ndarray:
    """Mark frame round(rate x time), and its neighbours by ``widths``; where marks overlap, the larger value counts.

    Args:
        times: in seconds; times beyond the last frame are ignored.
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


def pick_peaks(activations: np.ndarray, rate_hz: float, threshold: float = 0.3) -> np.ndarray:
    """Times of the highest local maxima of at least ``threshold``, no two closer than the fastest beat.

    Args:
        activations: (F,) probability of a beat in each frame.
        rate_hz: frames per second.
        threshold: smallest activation of a beat.

    Returns:
        (n,) seconds.
    """
    padded = np.concatenate([[0.0], activations, [0.0]])  # a peak may be the first or last frame
    distance = max(1, int(NEAREST_SECONDS * rate_hz))
    return (find_peaks(padded, height=threshold, distance=distance)[0] - 1) / rate_hz


def summed_f_measure(pairs: Iterable[tuple[np.ndarray, np.ndarray]], tolerance: float = TOLERANCE_SECONDS) -> float:
    """One F of all tracks: matches, references and estimates are summed before they are divided.

    Args:
        pairs: (reference times, estimated times) of each track, in seconds, ascending.
        tolerance: in seconds; each event matches at most one.

    Returns:
        2 matches / (references + estimates); 0 if there are neither.
    """
    counts = sum((f_measure_counts(*pair, tolerance) for pair in pairs), np.zeros(2))
    return float(counts[0] / counts[1]) if counts[1] else 0.0


def f_measure_counts(reference: np.ndarray, estimate: np.ndarray, tolerance: float = TOLERANCE_SECONDS) -> np.ndarray:
    """Numerator and denominator of a track's F, (2,): 2 matches, and references + estimates."""
    matches = mir_eval.util.match_events(np.asarray(reference), np.asarray(estimate), tolerance)
    return np.array([2 * len(matches), len(reference) + len(estimate)], dtype=np.float64)
