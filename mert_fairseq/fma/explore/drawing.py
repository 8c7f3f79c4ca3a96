"""Looks shared by the report's pictures: colours that colour-blind people can tell apart, sizes, saving."""

from pathlib import Path

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mert_fairseq.fma.card import SPLITS

DPI = 110
PALETTE = seaborn.color_palette("colorblind")
SPLIT_COLOURS = dict(zip(SPLITS, (PALETTE[0], PALETTE[1], PALETTE[2]), strict=True))
PLAIN = PALETTE[0]
FAINT = "0.9"


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """A figure that belongs to no window, so that no display is needed."""
    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def tidy(axes: Axes, grid: str) -> None:
    """Only the lines that help to read: a faint grid along ``grid`` ("x" or "y"), no frame."""
    axes.grid(axis=grid, color=FAINT)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    seaborn.despine(ax=axes, left=grid == "x")
    axes.tick_params(axis="y" if grid == "x" else "x", length=0)


def label_bars(axes: Axes, totals: np.ndarray, texts: list[str]) -> None:
    """Write a text right of each horizontal bar, and make room for it."""
    for place, (total, text) in enumerate(zip(totals, texts, strict=True)):
        axes.annotate(text, (float(total), place), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_xlim(0, 1.18 * max(float(np.max(totals, initial=0)), 1e-9))


def save(figure: Figure, path: Path) -> Path:
    """Write the picture as PNG."""
    figure.savefig(path, dpi=DPI)
    return path
