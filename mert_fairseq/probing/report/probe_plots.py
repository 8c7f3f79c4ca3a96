"""Pictures of probes: score by layer, and accuracy by number of labelled clips."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mert_fairseq.reporting.figures import DPI, GRID_GREY

COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink", "tab:olive")


def draw_layers(path: Path, results: Sequence[Mapping[str, Any]], metric: str) -> Path:
    """Test score of each layer at its best learning rate, mean and standard deviation over seeds; models by colour.

    The weighted sum is a diamond at the right; a baseline with a single state is a dashed line.
    """
    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    axes = figure.add_subplot()
    last = max((int(name) for each in results for name in each["by_layer"] if name != "all"), default=0)
    for number, each in enumerate(results):
        colour, layers = COLOURS[number % len(COLOURS)], each["by_layer"]
        single = [(int(name), scores["test"]) for name, scores in layers.items() if name != "all"]
        if len(single) == 1 and "all" not in layers:
            axes.axhline(single[0][1]["mean"], color=colour, linestyle="--", linewidth=1.2, label=each["model"])
            continue
        places, tests = zip(*sorted(single), strict=True) if single else ((), ())
        bars = [test["sd"] or 0.0 for test in tests]
        means = [test["mean"] for test in tests]
        axes.errorbar(places, means, bars, color=colour, marker=".", capsize=2, label=each["model"])
        if "all" in layers:
            test = layers["all"]["test"]
            axes.errorbar([last + 1], [test["mean"]], [test["sd"] or 0.0], color=colour, marker="D", capsize=2)
    ticks = list(range(last + 1))
    mixed = any("all" in each["by_layer"] for each in results)
    axes.set_xticks([*ticks, last + 1] if mixed else ticks, [*map(str, ticks), "sum"] if mixed else [*map(str, ticks)])
    axes.set(xlabel="layer", ylabel=metric.replace("_", " "), title="Test score by layer")
    axes.grid(color=GRID_GREY)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
    figure.savefig(path, dpi=DPI)
    return path


def draw_few_shot(path: Path, results: Sequence[Mapping[str, Any]], metric: str) -> Path:
    """Test score by labelled clips per class, mean and standard deviation over draws; dots for k-NN on all clips."""
    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    axes = figure.add_subplot()
    furthest = max(row["shots"] for each in results for row in each["few_shot"])
    for number, each in enumerate(results):
        colour, rows = COLOURS[number % len(COLOURS)], each["few_shot"]
        shots = [row["shots"] for row in rows]
        means, bars = [row["mean"] for row in rows], [row["sd"] for row in rows]
        axes.errorbar(shots, means, bars, color=colour, marker=".", capsize=2, label=each["model"])
        axes.plot([furthest * 1.6], [each["neighbours"]["test"][metric]], color=colour, marker="o", linestyle="none")
    axes.set_xscale("log")
    ticks = sorted({row["shots"] for each in results for row in each["few_shot"]})
    axes.set_xticks([*ticks, furthest * 1.6], [*map(str, ticks), "k-NN, all"])
    axes.minorticks_off()
    axes.set(xlabel="labelled clips per class", ylabel=metric.replace("_", " "), title="With few labels")
    axes.grid(color=GRID_GREY)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
    figure.savefig(path, dpi=DPI)
    return path
