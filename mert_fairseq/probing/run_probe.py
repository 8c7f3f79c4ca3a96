"""One task with one model, from audio to results on the disk; finished work is not repeated."""

import csv
import hashlib
import json
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from mert_fairseq.files import replacing
from mert_fairseq.probing.features.extract import extract
from mert_fairseq.probing.features.source import Source
from mert_fairseq.probing.few_labels import few_shot_scores, neighbour_scores
from mert_fairseq.probing.objectives import ClassObjective, Objective, TagObjective
from mert_fairseq.probing.probe_data import ProbeData
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.results import OUTPUTS, SHARES, over_seeds, read_results, run_facts, write_results
from mert_fairseq.probing.rows import Rows
from mert_fairseq.probing.search.protocol import ALL_LAYERS, Protocol, layer_name
from mert_fairseq.probing.search.search import Found, RunScore, search

RUNS = "runs.csv"


def read_data(
    task: ProbeTask, data: Path, out: Path, splits: Path | None = None, clips: int | None = None
) -> ProbeData:
    """Read a task's data, with the user's split lists if given, and write the split that is used.

    Args:
        task: that reads.
        data: its folder.
        out: of the run.
        splits: folder of the user's split lists.
        clips: at most so many of each split, by :meth:`ProbeData.limited`.

    Raises:
        FileNotFoundError, ValueError: as the task's ``read``, or if audio is missing.
    """
    if not data.is_dir():
        raise FileNotFoundError(f"{data}: no such folder. {task.card.title}: {task.card.how}")
    found = task.read(data, out / "work")
    if splits is not None:
        found = found.resplit(splits)
    if clips is not None:
        found = found.limited(clips)
    found.check_files()
    found.write_splits(out / task.name / "splits")
    return found


def shortened(task: ProbeTask, seconds: float) -> ProbeTask:
    """The same task on the first seconds of each clip; its results do not compare with published ones."""
    task = copy(task)
    task.windows = replace(task.windows, first_seconds=min(seconds, task.windows.first_seconds or seconds))
    task.is_published = lambda data: False  # type: ignore[method-assign]
    return task


def for_task(protocol: Protocol, task: ProbeTask, max_epochs: int | None = None) -> Protocol:
    """The protocol with a task's own number of epochs and patience; the quick one keeps its own."""
    if protocol.name == "quick":
        return replace(protocol, max_epochs=max_epochs or protocol.max_epochs)
    return replace(
        protocol,
        max_epochs=max_epochs or task.max_epochs,
        lr_patience=task.lr_patience,
        stop_patience=task.stop_patience,
    )


def run_task(
    task: ProbeTask, data: ProbeData, source: Source, protocol: Protocol, out: Path, *, device: str, quiet: bool = False
) -> dict[str, Any]:
    """Extract, search, test and write ``OUT/TASK/MODEL/``: results.json, runs.csv, outputs.npz, shares.npz.

    Args:
        task: what to probe.
        data: as :func:`read_data` returns it.
        source: model or baseline.
        protocol: of the search, with the task's own patience.
        out: of all tasks and models.
        device: where heads are trained.
        quiet: without progress bars.

    Returns:
        What results.json holds.
    """
    folder = out / task.name / source.name
    normalize = {"model": source.normalized, "on": True, "off": False}[protocol.normalize]
    store = extract(source, data, task.windows, normalize, out / "features", quiet=quiet)
    about = {"features": store.key, "protocol": protocol.settings, "labels": _labels(data), **task.settings()}
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    if (done := read_results(folder)) and done["key"] == key:
        return done
    objective = task.objective(data, protocol, source.rate_hz)
    rows = task.rows(data, store, objective, source.standardize)
    crop = None if task.crop_seconds is None else round(task.crop_seconds * source.rate_hz)
    with tqdm(desc=f"heads of {task.name}", unit="run", disable=quiet, leave=False) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = search(
            rows, objective, protocol, folder / "groups", key=key, crop_rows=crop, device=device, report=report
        )
    tuned = [objective.tune(outputs, rows["valid"]) for outputs in found.outputs["valid"]]
    results = _results(task, data, source, protocol, objective, rows, found, tuned)
    results |= {"key": key, "normalize": normalize}
    if not objective.frames:
        results["neighbours"] = neighbour_scores(rows, objective)
        if isinstance(objective, ClassObjective):
            results["few_shot"] = few_shot_scores(rows, objective, best_single_layer(found.scores))
        _write_outputs(folder / OUTPUTS, objective, rows["test"], found, tuned)
    _write_shares(folder / SHARES, objective, rows["test"], found, tuned)
    _write_runs(folder / RUNS, found.scores, objective.monitor_name)
    return write_results(folder, results)


def _labels(data: ProbeData) -> str:
    digest = hashlib.sha256()
    for split, clips in data.parts.items():
        for clip in clips:
            digest.update(json.dumps([split, clip.id, clip.unit, clip.target]).encode())
    return digest.hexdigest()


def _results(
    task: ProbeTask,
    data: ProbeData,
    source: Source,
    protocol: Protocol,
    objective: Objective,
    rows: dict[str, Rows],
    found: Found,
    tuned: Sequence[Any],
) -> dict[str, Any]:
    def scores(part: str) -> dict[str, dict[str, Any]]:
        tests = [objective.score(each, rows[part], tune) for each, tune in zip(found.outputs[part], tuned, strict=True)]
        return {metric: over_seeds([test[metric] for test in tests]) for metric in task.metrics if metric in tests[0]}

    results = {
        **run_facts(task, data, source, protocol),
        "published": task.is_published(data) and protocol.is_published(),
        "names": list(data.names),
        "monitor": objective.monitor_name,
        "layer": layer_name(found.layer),
        "learning_rate": found.learning_rate,
        "scores": scores("test"),
        "copies": {name: scores(name) for name in data.copies},
        "by_layer": _by_layer(found.scores),
    }
    if isinstance(objective, TagObjective):
        per_seed = [objective.per_tag(test, rows["test"]) for test in found.outputs["test"]]
        results["tags"] = [
            {
                **tags[0],
                **{
                    name: None if tags[0][name] is None else float(np.mean([tag[name] for tag in tags]))
                    for name in ("roc_auc", "average_precision")
                },
            }
            for tags in zip(*per_seed, strict=True)
        ]
    return results


def _by_layer(scores: Sequence[RunScore]) -> dict[str, dict[str, Any]]:
    """For each layer its best learning rate by validation, and the scores of its seeds."""
    found: dict[str, dict[str, Any]] = {}
    for layer in dict.fromkeys(score.run.layer for score in scores):
        rates: dict[float, list[RunScore]] = {}
        for score in scores:
            if score.run.layer == layer:
                rates.setdefault(score.run.learning_rate, []).append(score)
        rate, best = max(rates.items(), key=lambda item: float(np.mean([score.valid for score in item[1]])))
        valid, test = ([getattr(score, split) for score in best] for split in ("valid", "test"))
        if np.isfinite(valid).all():
            found[layer_name(layer)] = {"learning_rate": rate, "valid": over_seeds(valid), "test": over_seeds(test)}
    return found


def best_single_layer(scores: Sequence[RunScore]) -> int:
    """The layer with the highest mean validation score over all learning rates; the weighted sum is not considered."""
    single = [score for score in scores if score.run.layer != ALL_LAYERS]
    if not single:
        return 0
    names = _by_layer(single)
    return int(max(names, key=lambda name: names[name]["valid"]["mean"])) if names else single[0].run.layer


def _write_outputs(path: Path, objective: Objective, test: Rows, found: Found, tuned: Sequence[Any]) -> None:
    """Test outputs of the chosen heads for the report: (seeds, U, K), targets and names of the scored units."""
    pairs = zip(found.outputs["test"], tuned, strict=True)
    outputs = [objective.unit_outputs(each, test, tune) for each, tune in pairs]
    clips = {clip.unit: clip for clip in reversed(test.clips)}
    files = [clips[unit].path for unit in test.units]
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            outputs=np.stack(outputs).astype(np.float32),
            targets=test.unit_targets.numpy(),
            units=np.array(test.units),
            files=np.array(files),
        )


def _write_shares(path: Path, objective: Objective, test: Rows, found: Found, tuned: Sequence[Any]) -> None:
    """What each test unit adds to the score, (seeds, U, 2), for intervals over clips; no file if it cannot be said."""
    pairs = zip(found.outputs["test"], tuned, strict=True)
    every_seed = [objective.shares(each, test, tune) for each, tune in pairs]
    if shares := [each for each in every_seed if each is not None]:
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, shares=np.stack(shares), units=np.array(test.units))


def _write_runs(path: Path, scores: Sequence[RunScore], monitor: str) -> None:
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["layer", "learning_rate", "seed", f"valid_{monitor}", f"test_{monitor}", "best_epoch"])
        for score in scores:
            layer, rate, seed = score.run
            writer.writerow([layer_name(layer), rate, seed, score.valid, score.test, score.epoch])


def default_device() -> str:
    """``cuda`` if there is a GPU, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"
