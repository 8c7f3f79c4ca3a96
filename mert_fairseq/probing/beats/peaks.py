"""Beats as the peaks of the activation, without a model of tempo: a fast decoder, and a floor for the slow one."""

import numpy as np
from scipy.signal import find_peaks

NEAREST_SECONDS = 60 / 215  # between two beats, as the network's fastest tempo
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6)


def pick_peaks(activations: np.ndarray, rate_hz: float, threshold: float = 0.3) -> np.ndarray:
    """Times of the highest local maxima from ``threshold`` on, no two nearer than the fastest beat.

    Args:
        activations: (F,) probability of a beat in each frame.
        rate_hz: frames per second.
        threshold: of the activation.

    Returns:
        (n,) seconds.
    """
    padded = np.concatenate([[0.0], activations, [0.0]])  # a peak may be the first or last frame
    distance = max(1, int(NEAREST_SECONDS * rate_hz))
    return (find_peaks(padded, height=threshold, distance=distance)[0] - 1) / rate_hz
