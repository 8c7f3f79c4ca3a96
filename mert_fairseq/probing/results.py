"""Results of a task with a model: the file results.json, and the summary of a score over seeds."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

from mert_fairseq.files import replacing
from mert_fairseq.probing.features.source import Source
from mert_fairseq.probing.probe_data import ProbeData
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.search.protocol import Protocol

RESULTS, OUTPUTS, SHARES = "results.json", "outputs.npz", "shares.npz"


def run_facts(task: ProbeTask, data: ProbeData, source: Source, protocol: Protocol) -> dict[str, Any]:
    """What was run: the part of the results that is the same for all tasks."""
    return {
        "task": task.name,
        "title": task.title,
        "model": source.name,
        "digest": source.digest,
        "protocol": protocol.settings,
        "sizes": data.sizes,
        "songs": data.songs,
        "left_out": data.left_out,
    }


def write_results(folder: Path, results: dict[str, Any]) -> dict[str, Any]:
    """Write results.json; returns the results as :func:`read_results` reads them."""
    text = json.dumps(results, indent=1)
    with replacing(folder / RESULTS) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    return json.loads(text)


def read_results(folder: Path) -> dict[str, Any] | None:
    """Finished results, or None."""
    try:
        found = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "key" in found else None


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
