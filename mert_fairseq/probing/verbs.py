"""The actions of mert-probe: list, check, splits, run, report."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mert_fairseq.jobs.command import print_result
from mert_fairseq.probing.check_data import check_task
from mert_fairseq.probing.features.source import Source, load_source
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.report import write_reports
from mert_fairseq.probing.report.score_tables import score_rows
from mert_fairseq.probing.run_probe import default_device, for_task, read_data, run_task, shortened
from mert_fairseq.probing.search.protocol import ALL_LAYERS, FIRST_SEED, QUICK, QUICK_SECONDS, Protocol
from mert_fairseq.probing.separation.run_separation import run_separation
from mert_fairseq.probing.tasks import TASKS, find_task
from mert_fairseq.probing.tasks.musdb18 import MUSDB18
from mert_fairseq.reporting.page import text_table


def list_tasks(names: Sequence[str], as_json: bool) -> int:
    """Print all tasks, or the cards of some."""
    if names:
        return print_result("\n\n".join(find_task(name).card.describe() for name in names))
    rows = [[task.name, task.folder, task.title, ", ".join(task.metrics)] for task in TASKS.values()]
    header = ["task", "folder", "what", "scores"]
    objects = [dict(zip(header, row, strict=True)) for row in rows]
    return print_result(json.dumps(objects) if as_json else text_table(header, rows))


def check(names: Sequence[str], options: argparse.Namespace) -> int:
    """Print the findings on the data of some tasks, or of all tasks whose data exist."""
    status, printed = 0, {}
    for task, data in _chosen(names, options.data):
        found = check_task(task, data, options.out and options.out / "work", options.decode)
        status |= found.errors > 0
        sizes = found.data.sizes if found.data else {}
        printed[task.name] = {"sizes": sizes, "findings": [finding._asdict() for finding in found.findings]}
        if not options.json:
            print(f"{task.name}: {' / '.join(f'{size:,}' for size in sizes.values()) or 'cannot be read'}")
            for finding in found.findings:
                print(f"  {finding.kind}: {finding.text}")
            print("  ready" if not found.errors else f"  {found.errors} errors")
    if options.json:
        print(json.dumps(printed))
    return status


def splits(name: str, options: argparse.Namespace) -> int:
    """Write the split lists of a task."""
    if options.out is None:
        raise ValueError("splits needs --out, a folder for train.txt, valid.txt and test.txt.")
    data = find_task(name).read(options.data, options.out)
    data.write_splits(options.out)
    print(f"{options.out}: " + ", ".join(f"{split}.txt with {size:,} clips" for split, size in data.sizes.items()))
    return 0


def run(names: Sequence[str], options: argparse.Namespace) -> int:
    """Run tasks with models, write the report and print the scores; a task that fails does not stop the others."""
    if not options.model or options.data is None or options.out is None:
        raise ValueError("a run needs --model, --data and --out; mert-probe --help shows an example.")
    protocol, device = protocol_of(options), options.device or default_device()
    chosen = _chosen(names, options.data)
    if not chosen:
        folders = ", ".join(sorted({task.folder for task in TASKS.values()}))
        raise FileNotFoundError(f"{options.data}: found no data set in it, expected some of the folders {folders}.")
    failures: dict[str, str] = {}
    results: list[dict[str, Any]] = []
    for model in options.model:
        source = load_source(model, device)
        for task, data in chosen:
            try:
                results.append(
                    _run_one(task, data, source, for_task(protocol, task, options.max_epochs), options, device)
                )
            except (ValueError, KeyError, OSError) as error:
                if len(chosen) == 1:
                    raise
                failures[f"{task.name}, {source.name}"] = str(error)
    write_reports(options.out, TASKS, {task.name: data for task, data in chosen})
    _print_results(results, failures, options)
    return 1 if failures else 0


def _run_one(
    task: ProbeTask, data: Path, source: Source, protocol: Protocol, options: argparse.Namespace, device: str
) -> dict[str, Any]:
    protocol = for_task(protocol, task, options.max_epochs)
    clips, seconds = options.clips, options.seconds
    if protocol.name == "quick":
        clips, seconds = clips or task.quick_clips, seconds or QUICK_SECONDS
    if seconds:
        task = shortened(task, seconds)
    read = read_data(task, data, options.out, options.splits, clips)
    if isinstance(task, MUSDB18):
        return run_separation(task, read, source, protocol, options.out, device=device, quiet=options.quiet)
    return run_task(task, read, source, protocol, options.out, device=device, quiet=options.quiet)


def report(options: argparse.Namespace) -> int:
    """Write the reports again, from finished results."""
    if options.out is None:
        raise ValueError("report needs --out, the folder of the results.")
    data = {task.name: folder for task, folder in _chosen(["all"], options.data)} if options.data else None
    for page in write_reports(options.out, TASKS, data):
        print(page)
    return 0


def protocol_of(options: argparse.Namespace) -> Protocol:
    """The protocol that the options describe."""
    named = QUICK if options.protocol == "quick" else Protocol(options.protocol)
    given = {
        "head": options.head,
        "learning_rates": options.learning_rates and tuple(options.learning_rates),
        "seeds": options.seeds and tuple(range(FIRST_SEED, FIRST_SEED + options.seeds)),
        "layers": options.layers and tuple(_layer(text) for text in options.layers),
        "normalize": "on" if options.protocol == "marble" else None,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    return replace(named, **chosen, precision=options.precision, beat_labels=options.beat_labels)


def _layer(text: str) -> int:
    if text == "all":
        return ALL_LAYERS
    if not text.isdecimal():
        raise ValueError(f"--layers: found {text!r}, expected numbers of at least 0, or all for the weighted sum.")
    return int(text)


def _chosen(names: Sequence[str], data: Path) -> list[tuple[ProbeTask, Path]]:
    """Tasks with the folders of their data; of "all", those whose data exist."""
    if list(names) != ["all"]:
        several = len(names) > 1
        return [(find_task(name), data / find_task(name).folder if several else data) for name in names]
    missing = sorted({task.folder for task in TASKS.values() if not (data / task.folder).is_dir()})
    if missing:
        print(f"not in {data}, skipped: {', '.join(missing)}", file=sys.stderr)
    return [(task, data / task.folder) for task in TASKS.values() if task.has_data(data / task.folder)]


def _print_results(results: Sequence[dict[str, Any]], failures: dict[str, str], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps({"results": list(results), "failures": failures}))
        return
    for name in dict.fromkeys(each["task"] for each in results):
        found = [each for each in results if each["task"] == name]
        metrics = TASKS[name].metrics
        print(f"\n{TASKS[name].title}")
        print(text_table(["model", *metrics, "layer", "learning rate"], score_rows(found, metrics)))
    for name, text in failures.items():
        print(f"{name}: {text}", file=sys.stderr)
    print(f"\nReport: {options.out / 'index.html'}")
