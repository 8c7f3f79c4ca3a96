"""Figures of tracks.csv and genres.csv: genres, missing values, durations, bit rates, licences, growth."""

from pathlib import Path

import numpy as np
import pandas as pd
import seaborn
from matplotlib.ticker import FuncFormatter, NullLocator

from mert_fairseq.fma.constants import SPLITS, SUBSETS
from mert_fairseq.reporting.figures import label_bars, new_figure, save_figure, tidy

PALETTE = seaborn.color_palette("colorblind")
PLAIN = PALETTE[0]
SPLIT_COLOURS = dict(zip(SPLITS, PALETTE[:3], strict=True))
MAX_GENRES = 40


def draw_top_genres(path: Path, counts: dict[str, pd.DataFrame]) -> Path:
    """Draw stacked bars of the splits, one panel per subset; ``counts`` from :func:`counts.top_genre_counts`."""
    figure = new_figure(12, 0.8 + 0.3 * max(len(table) for table in counts.values()))
    panels = figure.subplots(1, len(counts), squeeze=False)[0]
    for axes, (subset, table) in zip(panels, counts.items(), strict=True):
        left = np.zeros(len(table))
        for split, colour in SPLIT_COLOURS.items():
            axes.barh(range(len(table)), table[split], left=left, color=colour, label=split, height=0.75)
            left += table[split].to_numpy()
        axes.set_yticks(range(len(table)), table.index)
        axes.invert_yaxis()
        label_bars(axes, left, [f"{int(total):,}" for total in left])
        axes.set(title=f"{subset}: {int(left.sum()):,} tracks with a top genre", xlabel="tracks")
        tidy(axes, "x")
    panels[-1].legend(frameon=False, loc="lower right", fontsize=9)
    return save_figure(figure, path)


def draw_genre_sizes(path: Path, genres: pd.DataFrame, root_of: dict[int, str]) -> Path:
    """Draw the largest genres of the large set, coloured by root; ``genres`` from :func:`counts.genre_counts`."""
    largest = genres[genres["large"] > 0].nlargest(MAX_GENRES, "large")
    roots = list(dict.fromkeys(root_of[genre] for genre in largest.index))
    colours = dict(zip(roots, seaborn.husl_palette(len(roots), l=0.6), strict=True))
    figure = new_figure(9, 0.9 + 0.22 * len(largest))
    axes = figure.subplots()
    axes.barh(range(len(largest)), largest["large"], color=[colours[root_of[genre]] for genre in largest.index])
    names = [
        title if depth == 0 else f"{title}  ({root_of[genre]})"
        for genre, title, depth in zip(largest.index, largest["title"], largest["depth"], strict=True)
    ]
    axes.set_yticks(range(len(largest)), names, fontsize=8)
    for tick, depth in zip(axes.get_yticklabels(), largest["depth"], strict=True):
        tick.set_fontweight("bold" if depth == 0 else "normal")
    axes.invert_yaxis()
    axes.margins(y=0.01)
    label_bars(axes, largest["large"].to_numpy(), [f"{count:,}" for count in largest["large"]])
    axes.set(
        xlabel="tracks (each counts for its genres and all genres above them)", title="Largest genres (roots in bold)"
    )
    tidy(axes, "x")
    return save_figure(figure, path)


def draw_missing(path: Path, columns: pd.DataFrame) -> Path:
    """Draw the share of missing cells per incomplete column; ``columns`` from :func:`counts.describe_columns`."""
    incomplete = columns[columns["missing"] > 0].sort_values("missing_share", ascending=False)
    figure = new_figure(9, 0.9 + 0.24 * max(1, len(incomplete)))
    axes = figure.subplots()
    axes.barh(range(len(incomplete)), 100 * incomplete["missing_share"], color=PLAIN, height=0.75)
    axes.set_yticks(range(len(incomplete)), incomplete.index, fontsize=9)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    label_bars(
        axes, 100 * incomplete["missing_share"].to_numpy(), [f"{share:.1%}" for share in incomplete["missing_share"]]
    )
    axes.set(xlabel="% of tracks without a value", title="Missing values in tracks.csv; other columns are complete")
    tidy(axes, "x")
    return save_figure(figure, path)


def draw_durations(path: Path, durations_seconds: pd.Series) -> Path:
    """Draw a histogram of the untrimmed durations on a logarithmic axis, with the median and the 30 s of clips."""
    known = durations_seconds[durations_seconds > 0]
    figure = new_figure(9, 3.6)
    axes = figure.subplots()
    edges = np.geomspace(max(1, known.min()), max(known.max(), 2), 60)
    axes.hist(known, bins=list(edges), color=PLAIN)
    axes.set_xscale("log")
    axes.axvline(30, color="0.35", linestyle=":", label="30 s, the length of a clip")
    axes.axvline(known.median(), color=PALETTE[3], label=f"median {_clock(known.median())}")
    axes.set_xticks([s for s in (1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10800) if edges[0] <= s <= edges[-1]])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: _clock(seconds)))
    axes.xaxis.set_minor_locator(NullLocator())
    hours = known.sum() / 3600
    axes.set(xlabel="duration of the untrimmed track", ylabel="tracks", title=f"Durations: {hours:,.0f} hours in total")
    axes.legend(frameon=False)
    tidy(axes, "y")
    return save_figure(figure, path)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h" if minutes >= 60 and minutes % 60 == 0 else f"{minutes}:{rest:02d}"


def draw_bit_rates(path: Path, counts: pd.Series) -> Path:
    """Draw the bars of :func:`counts.bit_rate_counts`."""
    figure = new_figure(9, 3.2)
    axes = figure.subplots()
    bars = axes.bar(counts.index, counts, color=PLAIN, width=0.7)
    total = max(1, int(counts.sum()))
    axes.bar_label(bars, [f"{count:,}\n{count / total:.1%}" for count in counts], fontsize=8, padding=2)
    axes.margins(y=0.18)
    axes.set(xlabel="kbit/s; other: mostly variable bit rates", ylabel="tracks", title="Bit rates")
    tidy(axes, "y")
    return save_figure(figure, path)


def draw_licences(path: Path, counts: pd.DataFrame) -> Path:
    """Draw the bars of :func:`counts.licence_counts`, coloured by what the licence allows."""
    kinds = {
        (True, True): ("derivatives and commercial use", PALETTE[2]),
        (True, False): ("derivatives, no commercial use", PALETTE[0]),
        (False, True): ("commercial use, no derivatives", PALETTE[1]),
        (False, False): ("neither, or unknown", PALETTE[7]),
    }
    figure = new_figure(9, 0.9 + 0.3 * len(counts))
    axes = figure.subplots()
    places = np.arange(len(counts))
    for kind, (label, colour) in kinds.items():
        rows = ((counts["derivatives"] == kind[0]) & (counts["commercial"] == kind[1])).to_numpy()
        if rows.any():
            axes.barh(places[rows], counts["tracks"][rows], color=colour, label=f"allows {label}", height=0.75)
    axes.set_yticks(places, counts.index)
    axes.invert_yaxis()
    total = counts["tracks"].sum()
    label_bars(axes, counts["tracks"].to_numpy(), [f"{count:,}  {count / total:.1%}" for count in counts["tracks"]])
    axes.set(xlabel="tracks", title="Licences chosen by the artists")
    axes.legend(frameon=False, loc="lower right", fontsize=9)
    tidy(axes, "x")
    return save_figure(figure, path)


def draw_growth(path: Path, created: pd.Series, subsets: pd.Series) -> Path:
    """Draw the tracks added per year, stacked by the smallest subset that contains them."""
    table = pd.crosstab(created.dt.year, subsets.astype(str)).reindex(columns=list(SUBSETS), fill_value=0)
    figure = new_figure(9, 3.2)
    axes = figure.subplots()
    bottom = np.zeros(len(table))
    for subset, colour in zip(SUBSETS, seaborn.color_palette("crest", len(SUBSETS))[::-1], strict=True):
        axes.bar(table.index.astype(str), table[subset], bottom=bottom, color=colour, label=f"in {subset}", width=0.8)
        bottom += table[subset].to_numpy()
    axes.set(xlabel="year in which the track was added", ylabel="tracks", title="Growth of the archive")
    axes.legend(frameon=False, fontsize=9)
    tidy(axes, "y")
    return save_figure(figure, path)
