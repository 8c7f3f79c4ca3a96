"""Read the contents of a drawn figure as plain values."""

from typing import Any


def lines_of(figure: Any) -> dict[str, tuple[list[float], list[float]]]:
    """x and y of each line by its label."""
    lines = figure.axes[0].get_lines()
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in lines}


def legend_of(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def ticks_of(axis: Any) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]
