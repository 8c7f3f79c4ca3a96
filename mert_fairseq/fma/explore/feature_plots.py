"""Figures of features.csv and echonest.csv: correlations, genre profiles, distributions."""

from pathlib import Path

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes

from mert_fairseq.fma.schema import ECHONEST_GROUPS
from mert_fairseq.reporting.figures import new_figure, save_figure, tidy

PLAIN = seaborn.color_palette("colorblind")[0]
MIN_TRACKS = 3  # genres with fewer tracks are left out


def draw_feature_correlations(path: Path, features: pd.DataFrame) -> Path:
    """Draw the Pearson correlations between the means of all 74 dimensions, in blocks by feature."""
    means = features.xs("mean", axis="columns", level="statistics")
    names = means.columns.get_level_values("feature")
    figure = new_figure(11, 10)  # large enough for one label per cell
    axes = figure.subplots()
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = np.corrcoef(means.to_numpy(), rowvar=False)
    seaborn.heatmap(
        correlations,
        ax=axes,
        vmin=-1,
        vmax=1,
        cmap="vlag",
        square=True,
        xticklabels=False,
        yticklabels=False,
        cbar_kws={"shrink": 0.7, "label": "correlation over tracks"},
    )
    _mark_blocks(axes, list(names))
    axes.set_title("Correlations between the features' means")
    return save_figure(figure, path)


def _mark_blocks(axes: Axes, names: list[str]) -> None:
    """Draw lines between features, and each name once at the middle of its block."""
    starts = [place for place, name in enumerate(names) if place == 0 or name != names[place - 1]]
    ends = [*starts[1:], len(names)]
    for start in starts[1:]:
        axes.axhline(start, color="0.35", linewidth=0.5)
        axes.axvline(start, color="0.35", linewidth=0.5)
    middles = [(start + end) / 2 for start, end in zip(starts, ends, strict=True)]
    labels = [f"{names[start]} ({end - start})" for start, end in zip(starts, ends, strict=True)]
    axes.set_yticks(middles, labels, fontsize=7.5, rotation=0)
    axes.set_xticks(middles, labels, fontsize=7.5, rotation=90)
    axes.tick_params(length=0)


def draw_genre_profiles(path: Path, values: pd.DataFrame, genres: pd.Series, title: str) -> Path:
    """Draw a heat map of the mean of each column per genre, in standard deviations over all tracks.

    Args:
        path: the PNG to write.
        values: (tracks, columns) numbers.
        genres: top genre of the same tracks; tracks without one count only for the standard deviations.
        title: of the figure.
    """
    spread = values.std().replace(0, np.nan)
    scores = (values - values.mean()) / spread
    sizes = genres.value_counts()
    kept = [genre for genre in sizes.index if sizes[genre] >= MIN_TRACKS]
    table = scores.groupby(genres.astype(object)).mean().reindex(kept)
    figure = new_figure(1.8 + 0.62 * values.shape[1] + 1.2, 1.6 + 0.32 * max(1, len(kept)))
    axes = figure.subplots()
    if kept:
        bound = max(0.1, float(np.nanmax(np.abs(table.to_numpy()))))
        seaborn.heatmap(
            table,
            ax=axes,
            cmap="vlag",
            vmin=-bound,
            vmax=bound,
            annot=table.round(1) + 0.0,  # 0.0 instead of -0.0
            fmt=".1f",
            annot_kws={"fontsize": 7},
            linewidths=0.5,
            cbar_kws={"label": "standard deviations from the mean of all"},
            yticklabels=[f"{genre} ({sizes[genre]:,})" for genre in kept],
        )
    axes.set(title=title, xlabel="", ylabel="")
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(values.shape[1]) + 0.5, list(values.columns), rotation=40, ha="right", fontsize=9)
    return save_figure(figure, path)


def feature_means(features: pd.DataFrame) -> pd.DataFrame:
    """(tracks, 11): mean over time of each feature, standardised per dimension and averaged over dimensions."""
    means = features.xs("mean", axis="columns", level="statistics")
    scaled = (means - means.mean()) / means.std().replace(0, np.nan)
    return scaled.T.groupby(level="feature").mean().T


def draw_echonest(path: Path, echonest: pd.DataFrame) -> Path:
    """Draw histograms of Echonest's 8 audio features."""
    names = list(ECHONEST_GROUPS["audio_features"])
    figure = new_figure(11, 4.8)
    panels = figure.subplots(2, 4)
    for axes, name in zip(panels.flat, names, strict=True):
        values = echonest["echonest", "audio_features", name].dropna()
        axes.hist(values, bins=40 if len(values) > 500 else 20, color=PLAIN)
        axes.axvline(values.median(), color="0.2", linewidth=1)
        axes.set_title(f"{name}, median {values.median():.3g}", fontsize=9)
        axes.tick_params(labelsize=8)
        tidy(axes, "y")
    for axes in panels[:, 0]:
        axes.set_ylabel("tracks")
    figure.suptitle(f"Echonest's audio features of {len(echonest):,} tracks (tempo in beats per minute, others 0 to 1)")
    return save_figure(figure, path)
