"""Mean, standard deviation and interval of a score over seeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import t


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Summarise the scores of several seeds.

    Args:
        values: one per seed.

    Returns:
        mean, sd (sample standard deviation), low and high (95 % interval of the mean by Student's t), values. With one
        value sd, low and high are None.
    """
    array = np.asarray(values, dtype=np.float64)
    found: dict[str, Any] = {"mean": float(array.mean()), "sd": None, "low": None, "high": None}
    if len(array) > 1:
        sd = float(array.std(ddof=1))
        half = float(t.ppf(0.975, len(array) - 1)) * sd / len(array) ** 0.5
        found |= {"sd": sd, "low": found["mean"] - half, "high": found["mean"] + half}
    return {**found, "values": array.tolist()}
