"""Figures of a report, drawn with matplotlib and written as PNG: curves, bars, spectrograms, confusion matrices.

The figures belong to no window, so they need no display.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mert_fairseq.reporting.training_log import Curve

logging.getLogger("matplotlib").setLevel(logging.WARNING)  # fairseq sets the root logger to DEBUG on import
DPI = 110
GRID_GREY = "0.9"
C_HZ = {f"C{octave}": 261.626 * 2.0 ** (octave - 4) for octave in range(1, 8)}
MAX_CLASSES_WITH_NUMBERS = 20  # cells of larger confusion matrices are too small for numbers


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """An empty figure that lays out its axes without overlap."""
    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG and return its path."""
    figure.savefig(path, dpi=DPI)
    return path


def tidy(axes: Axes, grid: str) -> None:
    """Draw a faint grid along the axis ``grid`` ("x" or "y") and remove the frame."""
    axes.grid(axis=grid, color=GRID_GREY)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    for side in ("top", "right", "left") if grid == "x" else ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y" if grid == "x" else "x", length=0)


def label_bars(axes: Axes, totals: np.ndarray, texts: list[str]) -> None:
    """Write a text to the right of each horizontal bar, and make room for it."""
    for place, (total, text) in enumerate(zip(totals, texts, strict=True)):
        axes.annotate(text, (float(total), place), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_xlim(0, 1.18 * max(float(np.max(totals, initial=0)), 1e-9))


def draw_curves(
    path: Path,
    curves: Mapping[str, Curve],
    *,
    title: str,
    ylabel: str,
    xlabel: str = "updates",
    levels: Mapping[str, float] | None = None,
    marks: Mapping[str, int] | None = None,
) -> Path:
    """Draw curves over updates, or over the quantity that ``xlabel`` names. The legend lists all of them.

    Args:
        path: the PNG to write.
        curves: by label.
        levels: horizontal dashed lines by label, such as a baseline.
        marks: vertical dotted lines by label at an update number, such as a resume.

    Returns:
        ``path``.
    """
    figure = new_figure(9.0, 4.0)
    axes = figure.subplots()
    for label, curve in curves.items():
        axes.plot(curve.updates, curve.values, label=label, marker="." if len(curve.updates) < 30 else None)
    for index, (label, value) in enumerate((levels or {}).items()):
        axes.axhline(value, label=label, color=str(0.15 + 0.3 * index), linestyle="--", linewidth=1.2)
    for label, update in (marks or {}).items():
        axes.axvline(update, label=label, color="0.5", linestyle=":", linewidth=1.2)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=GRID_GREY)
    _legend(axes)
    return save_figure(figure, path)


def draw_bars(
    path: Path, groups: Sequence[str], bars: Mapping[str, Sequence[float]], *, title: str, ylabel: str
) -> Path:
    """Draw grouped bars: one group per name in ``groups``, and in each group one bar per label in ``bars``."""
    figure = new_figure(9.0, 4.0)
    axes = figure.subplots()
    width = 0.8 / len(bars)
    for index, (label, values) in enumerate(bars.items()):
        left = np.arange(len(groups)) + (index - (len(bars) - 1) / 2) * width
        drawn = axes.bar(left, values, width, label=label, zorder=2)
        if index == 0:
            axes.bar_label(drawn, fmt="%.2f", fontsize=8)
    axes.set_xticks(range(len(groups)), groups)
    axes.set(ylabel=ylabel, title=title)
    axes.grid(axis="y", color=GRID_GREY)
    _legend(axes)
    return save_figure(figure, path)


def draw_spectrograms(
    path: Path,
    spectrograms: Mapping[str, np.ndarray],
    *,
    seconds: float,
    ylabel: str,
    yticks: Mapping[str, float] | None = None,
    value: str = "",
    shared_scale: bool = True,
) -> Path:
    """Draw time-by-bin images below each other, one per label.

    Args:
        path: the PNG to write.
        spectrograms: (F, bins) each; frames without a value are NaN and stay white.
        seconds: length of the time axis.
        ylabel: what the bins are.
        yticks: bins to be named on their axis, by name.
        value: what the colours show.
        shared_scale: use one colour scale for all images, to compare them; else each has its own (1st to 99th
            percentile).

    Returns:
        ``path``.
    """
    figure = new_figure(9, 2.4 * len(spectrograms))
    panels = figure.subplots(len(spectrograms), 1, sharex=True, squeeze=False)[:, 0]
    values = np.concatenate([image[np.isfinite(image)].ravel() for image in spectrograms.values()])
    for axes, (label, image) in zip(panels, spectrograms.items(), strict=True):
        low, high = np.nanpercentile(values if shared_scale else image, [1, 99])
        extent = (0.0, seconds, 0.0, float(image.shape[1]))
        drawn = axes.imshow(
            image.T, origin="lower", aspect="auto", extent=extent, vmin=low, vmax=high, interpolation="nearest"
        )
        axes.set(title=label, ylabel=ylabel)
        if yticks is not None:
            axes.set_yticks([place + 0.5 for place in yticks.values()], list(yticks))  # the middle of a bin
        figure.colorbar(drawn, ax=axes, pad=0.01, label=value)
    panels[-1].set_xlabel("seconds")
    return save_figure(figure, path)


def draw_confusion(
    path: Path, counts: np.ndarray, tracks: Sequence[int], names: Sequence[str], title: str, noun: str = "genre"
) -> Path:
    """Draw a confusion matrix. Each row is in percent of the tracks of its class.

    Args:
        path: the PNG to write.
        counts: (K, K), rows true, columns predicted.
        tracks: number of tracks per class; for multi-label tracks this is not the sum of the row.
        names: of the K classes.
        title: above the matrix.
        noun: what a class is called.

    Returns:
        ``path``.
    """
    percent = 100 * counts / np.maximum(np.asarray(tracks), 1)[:, None]
    inches = 3.0 + 0.42 * min(len(names), 60)
    figure = new_figure(inches + 0.8, inches)
    axes = figure.subplots()
    drawn = axes.imshow(percent, vmin=0, vmax=100, cmap="Blues")
    figure.colorbar(drawn, ax=axes, label=f"% of the {noun}'s tracks", shrink=0.8)
    size = 9 if len(names) <= 60 else 5  # points; with 60 classes a cell is 30 points wide
    rows = [f"{name} ({count:,})" for name, count in zip(names, tracks, strict=True)]
    axes.set_yticks(range(len(names)), rows, fontsize=size)
    axes.set_xticks(range(len(names)), list(names), rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
    axes.set(xlabel="predicted", ylabel=f"{noun} (tracks)", title=title)
    if len(names) <= MAX_CLASSES_WITH_NUMBERS:
        for row, column in np.ndindex(*percent.shape):
            if value := round(percent[row, column]):
                colour = "white" if value > 55 else "black"
                axes.text(column, row, str(value), ha="center", va="center", color=colour, fontsize=8)
    return save_figure(figure, path)


def draw_scores(path: Path, names: Sequence[str], values: Sequence[float], title: str, xlabel: str) -> Path:
    """Draw one horizontal bar per class on an axis from 0 to 1, the best class at the top."""
    order = np.argsort(values, kind="stable")
    figure = new_figure(7.2, 1.4 + 0.28 * len(names))
    axes = figure.subplots()
    bars = axes.barh([names[place] for place in order], [values[place] for place in order], zorder=2)
    axes.bar_label(bars, fmt="%.2f", fontsize=8, padding=3)
    axes.set(xlim=(0, 1.08), xlabel=xlabel, title=title)
    axes.grid(axis="x", color=GRID_GREY)
    return save_figure(figure, path)


def note_ticks(cqt_hz: np.ndarray) -> dict[str, float]:
    """The bins of the notes C1 to C7 by name and frequency; (bins,) Hz."""
    return {f"{note}, {hz:.0f} Hz": int(np.abs(cqt_hz - hz).argmin()) for note, hz in C_HZ.items()}


def log_magnitudes(magnitudes: np.ndarray) -> np.ndarray:
    """log10 of CQT magnitudes, not below -2, so that silence does not use up the colours."""
    return np.log10(np.maximum(magnitudes, 1e-2))


def _legend(axes: Axes) -> None:
    """Place the legend to the right of the axes, where it hides nothing."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
