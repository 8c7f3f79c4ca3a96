"""Pictures of a classifier's mistakes: the confusion matrix, and a bar a class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mert_fairseq.reporting.figures import DPI, GRID_GREY

MOST_WITH_NUMBERS = 20  # classes; cells of larger matrices are too small for numbers


def draw_confusion(
    path: Path, counts: np.ndarray, tracks: Sequence[int], names: Sequence[str], title: str, noun: str = "genre"
) -> Path:
    """The confusion matrix, each row as percent of its class's tracks.

    Args:
        path: the PNG to write.
        counts: (K, K), rows true, columns predicted.
        tracks: of each class; with several classes a track, not the sum of its row.
        names: of the K classes.
        title: above it.
        noun: what a class is called.

    Returns:
        ``path``.
    """
    percent = 100 * counts / np.maximum(np.asarray(tracks), 1)[:, None]
    inches = 3.0 + 0.42 * min(len(names), 60)
    figure = Figure(figsize=(inches + 0.8, inches), layout="constrained")
    axes = figure.add_subplot()
    drawn = axes.imshow(percent, vmin=0, vmax=100, cmap="Blues")
    figure.colorbar(drawn, ax=axes, label=f"% of the {noun}'s tracks", shrink=0.8)
    size = 9 if len(names) <= 60 else 5  # points; a cell of 60 is 30 points wide
    rows = [f"{name} ({count:,})" for name, count in zip(names, tracks, strict=True)]
    axes.set_yticks(range(len(names)), rows, fontsize=size)
    axes.set_xticks(range(len(names)), list(names), rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
    axes.set(xlabel="predicted", ylabel=f"{noun} (tracks)", title=title)
    if len(names) <= MOST_WITH_NUMBERS:
        for row, column in np.ndindex(*percent.shape):
            if value := round(percent[row, column]):
                colour = "white" if value > 55 else "black"
                axes.text(column, row, str(value), ha="center", va="center", color=colour, fontsize=8)
    figure.savefig(path, dpi=DPI)
    return path


def draw_scores(path: Path, names: Sequence[str], values: Sequence[float], title: str, xlabel: str) -> Path:
    """One horizontal bar a class, the best at the top, from 0 to 1."""
    order = np.argsort(values, kind="stable")
    figure = Figure(figsize=(7.2, 1.4 + 0.28 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh([names[place] for place in order], [values[place] for place in order], zorder=2)
    axes.bar_label(bars, fmt="%.2f", fontsize=8, padding=3)
    axes.set(xlim=(0, 1.08), xlabel=xlabel, title=title)
    axes.grid(axis="x", color=GRID_GREY)
    figure.savefig(path, dpi=DPI)
    return path
