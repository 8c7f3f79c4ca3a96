"""The separation task: a network per source, layer and seed, and its results in the form of the other tasks."""

import hashlib
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from mert_fairseq.files import replacing
from mert_fairseq.probing.dataset import ProbeData
from mert_fairseq.probing.features.source import Source
from mert_fairseq.probing.run import read_results, write_results
from mert_fairseq.probing.search.protocol import LEARNING_RATES, Protocol, layer_choices, layer_name
from mert_fairseq.probing.separation.network import HIDDEN
from mert_fairseq.probing.separation.spectra import HOP_SAMPLES, SAMPLE_RATE
from mert_fairseq.probing.separation.train import (
    SAMPLES_PER_SONG,
    SeparationProbe,
    Settings,
    sdr_of,
    train_network,
)
from mert_fairseq.probing.statistics import over_seeds
from mert_fairseq.probing.task import ProbeTask

DEFAULT_LAYER, DEFAULT_RATE = 7, 1e-3  # of MARBLE


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

    The full search would take weeks: without ``--layers`` it is layer 7 (or the last), as in MARBLE, and without
    ``--learning-rates`` 1e-3. Of several, the best by mean validation SDR of all sources is tested.

    Raises:
        ValueError: if the model's frames are not those of the spectra.
    """
    if source.sample_rate != SAMPLE_RATE or round(source.sample_rate / source.rate_hz) != HOP_SAMPLES:
        raise ValueError(
            f"{source.name}: found {source.sample_rate} Hz and {source.rate_hz:g} frames per second, expected "
            f"{SAMPLE_RATE} Hz and a hop of {HOP_SAMPLES} samples, at which the spectra of {task.name} are taken."
        )
    folder = out / task.name / source.name
    folder.mkdir(parents=True, exist_ok=True)
    about = [source.digest, protocol.settings, data.sizes, samples_per_song, hidden]
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()
    if (done := read_results(folder)) and done["key"] == key:
        return done
    cells: dict[tuple[int, float], dict[str, list[tuple[float, float]]]] = {}
    whole = protocol.layers is None
    layers = [min(DEFAULT_LAYER, source.num_states - 1)] if whole else layer_choices(protocol, source.num_states)
    rates = (DEFAULT_RATE,) if protocol.learning_rates == LEARNING_RATES else protocol.learning_rates

    def train(target: str, layer: int, rate: float, seed: int) -> tuple[float, float]:
        settings = Settings(target, layer, rate, seed, samples_per_song, hidden)
        return _one(settings, source, data, protocol, folder, key, device, quiet)

    for layer, rate in product(layers, rates):
        cells[layer, rate] = {
            target: [train(target, layer, rate, seed) for seed in protocol.seeds] for target in data.names
        }
    (layer, rate), best = max(cells.items(), key=lambda cell: _mean_valid(cell[1]))
    scores = {f"sdr_{target}": over_seeds([test for _, test in each]) for target, each in best.items()}
    means = [sum(best[target][seed][1] for target in best) / len(best) for seed in range(len(protocol.seeds))]
    results = {
        "task": task.name,
        "title": task.title,
        "model": source.name,
        "digest": source.digest,
        "protocol": protocol.settings,
        "sizes": data.sizes,
        "songs": data.songs,
        "left_out": data.left_out,
        "published": task.is_published(data)
        and protocol.name == "marble"
        and (samples_per_song, hidden) == (SAMPLES_PER_SONG, HIDDEN),
        "names": list(data.names),
        "monitor": "sdr",
        "layer": layer_name(layer),
        "learning_rate": rate,
        "scores": {"sdr": over_seeds(means), **scores},
        "by_layer": {},
        "key": key,
    }
    return write_results(folder, results)


def _mean_valid(cell: dict[str, list[tuple[float, float]]]) -> float:
    return float(np.mean([valid for each in cell.values() for valid, _ in each]))


def _one(
    settings: Settings,
    source: Source,
    data: ProbeData,
    protocol: Protocol,
    folder: Path,
    key: str,
    device: str,
    quiet: bool,
) -> tuple[float, float]:
    """Validation and test SDR of one network, from the disk if it is finished."""
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
