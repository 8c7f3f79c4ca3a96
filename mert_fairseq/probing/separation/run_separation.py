"""The separation task: a network per source, layer and seed, with results in the same form as the other tasks."""

import hashlib
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from mert_fairseq.files import replacing
from mert_fairseq.probing.features.source import Source
from mert_fairseq.probing.probe_data import ProbeData
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.results import over_seeds, read_results, run_facts, write_results
from mert_fairseq.probing.search.protocol import LEARNING_RATES, Protocol, layer_choices, layer_name
from mert_fairseq.probing.separation.spectra import HOP_SAMPLES, SAMPLE_RATE
from mert_fairseq.probing.separation.train_separation import (
    SAMPLES_PER_SONG,
    SeparationProbe,
    Settings,
    sdr_of,
    train_network,
)
from mert_fairseq.probing.separation.unmix_network import HIDDEN

DEFAULT_LAYER, DEFAULT_RATE = 7, 1e-3  # of MARBLE

# Validation and test SDR of each seed, by source.
SeedScores = dict[str, list[tuple[float, float]]]


def run_separation(
    task: ProbeTask,
    data: ProbeData,
    source: Source,
    protocol: Protocol,
    out: Path,
    *,
    device: str,
    quiet: bool = False,
    samples_per_song: int = SAMPLES_PER_SONG,
    hidden: int = HIDDEN,
) -> dict[str, Any]:
    """Train, test and write ``OUT/TASK/MODEL/results.json``; finished networks are not trained again.

    The full search would take weeks. The default is layer 7 (or the last), as in MARBLE, and a learning rate of 1e-3;
    ``--layers`` and ``--learning-rates`` widen it. Reported is the best by mean validation SDR of all sources.

    Raises:
        ValueError: if the model's frame rate differs from that of the spectra.
    """
    _check_frames(source, task)
    folder = out / task.name / source.name
    folder.mkdir(parents=True, exist_ok=True)
    about = [source.digest, protocol.settings, data.sizes, samples_per_song, hidden]
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()
    if (done := read_results(folder)) and done["key"] == key:
        return done
    layers, rates = _grid(protocol, source)

    def train(target: str, layer: int, rate: float, seed: int) -> tuple[float, float]:
        settings = Settings(target, layer, rate, seed, samples_per_song, hidden)
        return _train_and_test(settings, source, data, protocol, folder, key, device, quiet)

    cells = {
        (layer, rate): {target: [train(target, layer, rate, seed) for seed in protocol.seeds] for target in data.names}
        for layer, rate in product(layers, rates)
    }
    (layer, rate), best = max(cells.items(), key=lambda cell: _mean_valid(cell[1]))
    is_full_size = (samples_per_song, hidden) == (SAMPLES_PER_SONG, HIDDEN)
    results = {
        **run_facts(task, data, source, protocol),
        "published": task.is_published(data) and protocol.name == "marble" and is_full_size,
        "names": list(data.names),
        "monitor": "sdr",
        "layer": layer_name(layer),
        "learning_rate": rate,
        "scores": _scores(best),
        "by_layer": {},
        "key": key,
    }
    return write_results(folder, results)


def _check_frames(source: Source, task: ProbeTask) -> None:
    if source.sample_rate != SAMPLE_RATE or round(source.sample_rate / source.rate_hz) != HOP_SAMPLES:
        raise ValueError(
            f"{source.name}: found {source.sample_rate} Hz and {source.rate_hz:g} frames per second, expected "
            f"{SAMPLE_RATE} Hz and a hop of {HOP_SAMPLES} samples, at which the spectra of {task.name} are taken."
        )


def _grid(protocol: Protocol, source: Source) -> tuple[Sequence[int], Sequence[float]]:
    """The layers and learning rates to search."""
    is_default = protocol.layers is None
    layers = [min(DEFAULT_LAYER, source.num_states - 1)] if is_default else layer_choices(protocol, source.num_states)
    return layers, (DEFAULT_RATE,) if protocol.learning_rates == LEARNING_RATES else protocol.learning_rates


def _scores(best: SeedScores) -> dict[str, dict[str, Any]]:
    """Test SDR over the seeds: the mean of all sources, and of each source."""
    means = [sum(test for _, test in seed) / len(seed) for seed in zip(*best.values(), strict=True)]
    return {
        "sdr": over_seeds(means),
        **{f"sdr_{target}": over_seeds([test for _, test in each]) for target, each in best.items()},
    }


def _mean_valid(cell: SeedScores) -> float:
    return float(np.mean([valid for each in cell.values() for valid, _ in each]))


def _train_and_test(
    settings: Settings,
    source: Source,
    data: ProbeData,
    protocol: Protocol,
    folder: Path,
    key: str,
    device: str,
    quiet: bool,
) -> tuple[float, float]:
    """Validation and test SDR of one network, read from disk if finished."""
    name = f"{settings.target}_{layer_name(settings.layer)}_{settings.learning_rate:g}_{settings.seed}"
    path = folder / f"{name}.json"
    if path.is_file():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["key"] == key:
            return stored["valid"], stored["test"]
    normalize = {"model": source.normalized, "on": True, "off": False}[protocol.normalize]
    probe = SeparationProbe(source, settings, normalize, device)
    valid = train_network(probe, data, protocol, folder / f"{name}.pt", quiet)
    test = sdr_of(probe, data, "test")
    with replacing(path) as partial:
        partial.write_text(json.dumps({"key": key, "valid": valid, "test": test}), encoding="utf-8")
    return valid, test
