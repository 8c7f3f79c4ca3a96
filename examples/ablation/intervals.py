"""Differences between arms, with intervals over test clips and pretraining seeds, from what mert-probe stores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

DRAWS = 4000


def read_shares(folder: Path) -> tuple[np.ndarray, list[str]]:
    """Shares of a probe's test units, (units, 2), summed over the seeds of the probe, and the names of the units.

    Raises:
        SystemExit: if the task stores none, or was probed before mert-probe stored them.
    """
    if not (folder / "shares.npz").is_file():
        raise SystemExit(f"{folder}: no shares.npz. Delete its results.json and run stage 4 again, which writes it.")
    with np.load(folder / "shares.npz", allow_pickle=False) as stored:
        return stored["shares"].sum(0), stored["units"].tolist()


def difference(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], seed: int = 0) -> dict[str, Any]:
    """Mean score of our runs minus that of theirs, with a 95 % interval by the bootstrap.

    Each draw takes test units with replacement, the same for all runs, and runs with replacement on either side.
    Three runs show little of what more seeds would: an interval that only just leaves out 0 is weak evidence.

    Args:
        ours, theirs: of each run (units, 2): a score is the sum of the first column over that of the second.
        seed: of the draws.

    Returns:
        mean, low, high.
    """
    generator = np.random.default_rng(seed)
    units = len(ours[0])
    counts = generator.multinomial(units, np.full(units, 1 / units), size=DRAWS)

    def scores(runs: Sequence[np.ndarray]) -> tuple[float, np.ndarray]:
        stacked = np.stack(runs)  # (R, U, 2)
        drawn = np.einsum("du,ruc->drc", counts, stacked)
        each = drawn[..., 0] / np.maximum(drawn[..., 1], 1e-9)
        chosen = generator.integers(len(runs), size=each.shape)
        whole = stacked.sum(1)
        return float((whole[:, 0] / whole[:, 1]).mean()), np.take_along_axis(each, chosen, 1).mean(1)

    (mean, drawn), (other_mean, other_drawn) = scores(ours), scores(theirs)
    low, high = np.percentile(drawn - other_drawn, (2.5, 97.5))
    return {"mean": mean - other_mean, "low": float(low), "high": float(high)}
