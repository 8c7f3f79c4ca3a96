"""Signal-to-distortion ratio as in the Music Demixing Challenge 2021."""

import numpy as np

EPSILON = 1e-7


def challenge_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """10 log10 of the reference's energy over the error's, over all samples and channels of a song, in dB.

    Args:
        reference: of any shape.
        estimate: of the same shape.

    Raises:
        ValueError: if the shapes differ.
    """
    if reference.shape != estimate.shape:
        raise ValueError(f"found an estimate of shape {estimate.shape}, expected {reference.shape} as the reference.")
    reference, estimate = reference.astype(np.float64), estimate.astype(np.float64)
    energy, error = np.square(reference).sum(), np.square(reference - estimate).sum()
    return float(10 * np.log10((energy + EPSILON) / (error + EPSILON)))
