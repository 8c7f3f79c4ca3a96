"""The figures of a report, drawn with matplotlib and written as PNG: curves, grouped bars, spectrograms."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np

from mert_fairseq.reporting.training_log import Curve

matplotlib.use("Agg")  # reports are written on machines without a display

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

logging.getLogger("matplotlib").setLevel(logging.WARNING)  # fairseq sets the root logger to DEBUG on import
DPI = 110
GRID_GREY = "0.9"
C_HZ = {f"C{octave}": 261.626 * 2.0 ** (octave - 4) for octave in range(1, 8)}


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
    """Curves over updates (or what ``xlabel`` says), each labelled in the legend.

    Args:
        path: the PNG to write.
        curves: by label.
        levels: horizontal dashed lines by label, such as a baseline.
        marks: vertical dotted lines by label at an update number, such as a resume.

    Returns:
        ``path``.
    """
    figure, axes = plt.subplots(figsize=(9.0, 4.0))
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
    return _save(figure, path)


def draw_bars(
    path: Path, groups: Sequence[str], bars: Mapping[str, Sequence[float]], *, title: str, ylabel: str
) -> Path:
    """Bars side by side: one group a name in ``groups``, in it one bar a label in ``bars`` (one value a group)."""
    figure, axes = plt.subplots(figsize=(9.0, 4.0))
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
    return _save(figure, path)


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
    """Time-by-bin images under each other, one a label.

    Args:
        path: the PNG to write.
        spectrograms: (F, bins) each; frames without a value are NaN and stay white.
        seconds: length of the time axis.
        ylabel: what the bins are.
        yticks: bins to be named on their axis, by name.
        value: what the colours show.
        shared_scale: one colour scale for all, so that they compare; else each its own (1st to 99th percentile).

    Returns:
        ``path``.
    """
    figure, axes = plt.subplots(len(spectrograms), 1, figsize=(9, 2.4 * len(spectrograms)), sharex=True, squeeze=False)
    values = np.concatenate([image[np.isfinite(image)].ravel() for image in spectrograms.values()])
    for ax, (label, image) in zip(axes[:, 0], spectrograms.items(), strict=True):
        low, high = np.nanpercentile(values if shared_scale else image, [1, 99])
        extent = (0.0, seconds, 0.0, float(image.shape[1]))
        drawn = ax.imshow(
            image.T, origin="lower", aspect="auto", extent=extent, vmin=low, vmax=high, interpolation="nearest"
        )
        ax.set(title=label, ylabel=ylabel)
        if yticks is not None:
            ax.set_yticks([place + 0.5 for place in yticks.values()], list(yticks))  # the middle of a bin
        figure.colorbar(drawn, ax=ax, pad=0.01, label=value)
    axes[-1, 0].set_xlabel("seconds")
    return _save(figure, path)


def note_ticks(cqt_hz: np.ndarray) -> dict[str, float]:
    """The bins of the notes C1 to C7 by name and frequency; (bins,) Hz."""
    return {f"{note}, {hz:.0f} Hz": int(np.abs(cqt_hz - hz).argmin()) for note, hz in C_HZ.items()}


def log_magnitudes(magnitudes: np.ndarray) -> np.ndarray:
    """log10 of CQT magnitudes, not below -2, so that silence does not use up the colours."""
    return np.log10(np.maximum(magnitudes, 1e-2))


def _legend(axes: Axes) -> None:
    """Right of the axes, where it hides nothing."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)


def _save(figure: plt.Figure, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
    return path
