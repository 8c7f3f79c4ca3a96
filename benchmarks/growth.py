"""How an update grows with clip length, batch, codebooks and classes: launches, memory, FLOPs, and time on a CPU.

    python benchmarks/growth.py counts --json benchmarks/growth.json                  # without a GPU; 3 minutes
    python benchmarks/growth.py times --json benchmarks/growth.json                   # of the recipe tiny; 2 minutes
    python benchmarks/growth.py plot table --json benchmarks/growth.json --png docs/growth.png

Counts are those of benchmarks/budget.py at 95M and 330M in bf16. Each quantity varies alone; the others stay at 5 s,
16 clips, 8 codebooks and 1,028 classes (4 clips for the length of clips, and for all times). Times are those of one
thread's processor, which other work on the machine hardly changes.
"""

import argparse
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from mert_fairseq.reporting.figures import GRID_GREY, new_figure, save_figure

AXES: dict[str, tuple[str, list[float]]] = {
    "seconds": ("length of clips, s", [1, 2, 5, 10, 20, 30, 60]),
    "clips": ("clips", [1, 2, 4, 8, 16, 32, 64, 128]),
    "codebooks": ("codebooks", [1, 2, 4, 8, 16, 32]),
    "codes": ("classes per codebook", [256, 512, 1024, 2048, 4096]),
}
MOST_TIMED = {"seconds": 30, "clips": 32, "codebooks": 32, "codes": 4096}  # on a CPU
QUANTITIES = {
    "launches": "launches, forward to backward",
    "saved_gb": "saved activations, GB",
    "peak_gb": "peak memory, GB",
    "tflop": "TFLOP",
    "ms": "ms of one CPU thread",
}
COUNTED_SIZES, TIMED_SIZE = ("95m", "330m"), "tiny"
SIZES = {"95m": "95M", "330m": "330M", "tiny": "tiny"}
COLOURS = {"95m": "C0", "330m": "C1", "tiny": "C2"}
UPDATES = 5


def count_all() -> list[dict[str, Any]]:
    """A row per size, axis and value: what benchmarks/budget.py counts."""
    import budget

    rows = []
    for size in COUNTED_SIZES:
        for axis, (_, values) in AXES.items():
            for value in values:
                settings: dict[str, Any] = {"clips": 4 if axis == "seconds" else 16, axis: value}
                case = budget.Case(size, "bf16", **settings)
                found = budget.summary(budget.count(case), case)
                row = {"launches": found["forward to backward"], "saved_gb": found["saved GB"], "tflop": found["TFLOP"]}
                rows.append({"size": size, "axis": axis, "value": value, **row})
                rows[-1]["peak_gb"] = budget.peak_bytes(case) / 1e9
    return rows


def time_all() -> list[dict[str, Any]]:
    """A row per axis and value: milliseconds per update of the recipe ``tiny`` on one CPU thread, median of a few."""
    import torch
    from recipe_training import RecipeTraining, write_corpus

    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    rows = []
    for axis, (_, values) in AXES.items():
        for value in (each for each in values if each <= MOST_TIMED[axis]):
            setting = {"seconds": 5.0, "clips": 4, "codebooks": 8, "codes": 1024, axis: value}
            clips, seconds = int(setting["clips"]), setting["seconds"]
            with tempfile.TemporaryDirectory() as folder:
                corpus = write_corpus(Path(folder), clips, seconds, int(setting["codebooks"]), int(setting["codes"]))
                lengths = (f"task.max_sample_size={round(seconds * 24_000)}", "task.min_sample_size=8000")
                training = RecipeTraining(TIMED_SIZE, corpus, overrides=lengths)
                (batch,) = training.batches(clips, 1)
            times = []
            for _ in range(1 + UPDATES):
                start = time.process_time()
                training.update(batch)
                times.append(1e3 * (time.process_time() - start))
            row = {"size": TIMED_SIZE, "axis": axis, "value": value, "ms": statistics.median(times[1:])}
            print(row, flush=True)
            rows.append(row)
    return rows


def curve(rows: Iterable[dict[str, Any]], size: str, axis: str, quantity: str) -> tuple[list[float], list[float]]:
    """Values of the axis, and the quantity at each."""
    chosen = [row for row in rows if (row["size"], row["axis"]) == (size, axis) and quantity in row]
    return [row["value"] for row in chosen], [row[quantity] for row in chosen]


def plot(rows: list[dict[str, Any]], path: Path) -> Path:
    """A panel per quantity and axis, both logarithmic; the dashed lines grow in proportion."""
    figure = new_figure(13.0, 13.0)
    panels = figure.subplots(len(QUANTITIES), len(AXES), squeeze=False)
    for row, (quantity, label) in enumerate(QUANTITIES.items()):
        for column, axis in enumerate(AXES):
            _panel(panels[row][column], {size: curve(rows, size, axis, quantity) for size in SIZES}, axis)
        panels[row][0].set_ylabel(label)
    for axes, (name, _) in zip(panels[-1], AXES.values(), strict=True):
        axes.set_xlabel(name)
    return save_figure(figure, path)


def _panel(axes: Any, curves: dict[str, tuple[list[float], list[float]]], axis: str) -> None:
    """Draw one quantity over one axis, one curve per size."""
    most = [1.0]
    for size, (values, found) in curves.items():
        if values:
            axes.plot(values, found, marker="o", markersize=4, label=SIZES[size], color=COLOURS[size])
            proportional = [found[-1] * value / values[-1] for value in values]
            axes.plot(values, proportional, color="0.6", linestyle="--", linewidth=1, zorder=0)
            most = [*most, *found] if len(most) > 1 else found
    low, high = min(most) / 2, max(most) * 2
    values = AXES[axis][1]
    axes.set(xscale="log", yscale="log", xlim=(values[0] / 1.2, values[-1] * 1.2), ylim=(low, high))
    axes.set_xticks(values, [f"{value:g}" for value in values], fontsize=9)
    steps = [step * 10.0**power for power in range(-4, 7) for step in (1, 2, 5)]
    steps = [step for step in steps if low <= step <= high]
    axes.set_yticks(steps, [f"{step:,g}" for step in steps], fontsize=9)
    axes.minorticks_off()
    axes.grid(color=GRID_GREY)
    if axes.lines:
        axes.legend(fontsize=8, frameon=False)


def table(rows: list[dict[str, Any]]) -> str:
    """How much each quantity grows over the whole range of each axis."""
    lines = [
        "| | " + " | ".join(f"{name}: {values[0]:g} to {values[-1]:g}" for name, values in AXES.values()) + " |",
        "|---|" + "--:|" * len(AXES),
    ]
    for quantity, label in QUANTITIES.items():
        for size, shown in SIZES.items():
            cells = []
            for axis in AXES:
                values, found = curve(rows, size, axis, quantity)
                if values:
                    most = "" if values[-1] == AXES[axis][1][-1] else f" (at {values[-1]:g})"
                    cells.append(f"{found[0]:.3g} to {found[-1]:.3g}: x {found[-1] / found[0]:.3g}{most}")
                else:
                    cells.append("")
            if any(cells):
                lines.append(f"| {label}, {shown} |" + "".join(f" {cell} |" if cell else " |" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    """Count, time, plot or print what was counted and timed."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", nargs="+", choices=("counts", "times", "plot", "table"))
    options.add_argument(
        "--json", type=Path, required=True, metavar="FILE", help="of the results; counts and times add to it"
    )
    options.add_argument("--png", type=Path, metavar="FILE", help="of the plot")
    chosen = options.parse_args()
    found: dict[str, list[dict[str, Any]]] = json.loads(chosen.json.read_text()) if chosen.json.exists() else {}
    for what, measure in (("counts", count_all), ("times", time_all)):
        if what in chosen.what:
            found[what] = measure()
            chosen.json.write_text(json.dumps(found, indent=1) + "\n")
    rows = [row for each in found.values() for row in each]
    if "plot" in chosen.what:
        plot(rows, chosen.png or options.error("plot needs --png"))
    if "table" in chosen.what:
        print(table(rows))


if __name__ == "__main__":
    main()
