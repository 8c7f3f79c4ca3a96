"""The F measure of beats over a whole split, from summed counts."""

from collections.abc import Iterable

import mir_eval
import numpy as np

TOLERANCE_SECONDS = 0.07  # of MARBLE's code; its paper says 20 ms


def summed_f_measure(pairs: Iterable[tuple[np.ndarray, np.ndarray]], tolerance: float = TOLERANCE_SECONDS) -> float:
    """One F of all tracks: matches, references and estimates are summed before they are divided.

    Args:
        pairs: (reference times, estimated times) of each track, in seconds, ascending.
        tolerance: in seconds; each event matches at most one.

    Returns:
        2 matches / (references + estimates); 0 if there are neither.
    """
    matches = references = estimates = 0
    for reference, estimate in pairs:
        matches += len(mir_eval.util.match_events(np.asarray(reference), np.asarray(estimate), tolerance))
        references += len(reference)
        estimates += len(estimate)
    return 2 * matches / (references + estimates) if references + estimates else 0.0
