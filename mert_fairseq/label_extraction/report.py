"""A page on the teachers of a data folder: how labels use their codes, and what the CQT sees of known tones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from mert_fairseq.label_extraction.code_statistics import CodeStatistics
from mert_fairseq.label_extraction.known_tones import KNOWN_TONES, add_known_tones
from mert_fairseq.labels import LabelDictionary, LabelError, open_labels
from mert_fairseq.reporting.figures import draw_bars, draw_curves
from mert_fairseq.reporting.page import Page
from mert_fairseq.reporting.training_log import Curve

COLUMNS = {
    "codes": "codes",
    "used": "used",
    "entropy_bits": "entropy (bits)",
    "perplexity": "perplexity",
    "most_frequent_share": "share of the most frequent code",
    "mean_duration_ms": "a code lasts (ms)",
}


class SplitUsage(NamedTuple):
    """How a split's labels use their codes."""

    split: str
    tracks: int
    hours: float
    counts: list[np.ndarray]  # a (K,) int64 a label, in the order of its codes
    rows: list[dict[str, Any]]  # as CodeStatistics.summary gives them, with the label's name


def label_usage(
    label_dir: Path, split: str, labels: Sequence[str], label_rate_hz: float, tracks: int | None = None
) -> SplitUsage:
    """Count the codes of a split.

    Args:
        label_dir: of the label files and dictionaries.
        split: such as ``train``.
        labels: such as ``["rvq_0", "rvq_1"]``.
        label_rate_hz: codes a second.
        tracks: at most so many, evenly spread over the split; None takes all.

    Raises:
        LabelError: if labels or dictionaries are missing or a code lies outside its dictionary.
    """
    known = [LabelDictionary.read(label_dir / f"dict.{label}.txt").lookup() >= 0 for label in labels]
    opened = open_labels(label_dir, split, labels)
    statistics = CodeStatistics([int(codes.sum()) for codes in known])
    chosen = np.unique(np.linspace(0, len(opened) - 1, min(tracks or len(opened), len(opened))).astype(int))
    for track in tqdm(chosen, desc=f"{split} labels", unit=" tracks", leave=False):
        columns = zip(opened.codes(int(track)).T, known, labels, strict=True)
        statistics.add(np.stack([_ranks(*column, opened.where(int(track))) for column in columns], axis=1))
    rows = [{"label": label, **row} for label, row in zip(labels, statistics.summary(label_rate_hz), strict=True)]
    return SplitUsage(split, statistics.tracks, statistics.frames / label_rate_hz / 3600, statistics.counts, rows)


def _ranks(codes: np.ndarray, known: np.ndarray, label: str, where: str) -> np.ndarray:
    """Numbers of codes among those that a dictionary has, from 0: codes without a class leave no gap in the counts.

    Args:
        codes: (frames,) of a track.
        known: (largest code + 1,) bool, the codes that the dictionary has.
        label: its name, for the message.
        where: the track, for the message.
    """
    inside = codes < len(known)
    has_class = np.zeros(len(codes), dtype=bool)
    has_class[inside] = known[codes[inside]]
    if not has_class.all():
        raise LabelError(
            f"{where}: found code {codes[~has_class][0]} of {label}, which is not among the {known.sum()} of its "
            f"dictionary. Make the labels and their dictionaries again."
        )
    return (np.cumsum(known) - 1)[codes]


def write_report(usages: Sequence[SplitUsage], out: Path) -> Path:
    """Write the page and its pictures; gives the page's path."""
    out.mkdir(parents=True, exist_ok=True)
    page = Page("Teachers")
    for usage in usages:
        page.heading(f"{usage.split}: {usage.tracks} tracks, {usage.hours:.2f} h")
        rows = [[row["label"], *(f"{row[key]:g}" for key in COLUMNS)] for row in usage.rows]
        page.table(["label", *COLUMNS.values()], rows)
    if usages:
        _add_usage_pictures(page, usages, out)
    add_known_tones(page, KNOWN_TONES, out)
    return page.write(out)


def _add_usage_pictures(page: Page, usages: Sequence[SplitUsage], out: Path) -> None:
    labels = [row["label"] for row in usages[0].rows]
    shares = {usage.split: [row["perplexity"] / row["codes"] for row in usage.rows] for usage in usages}
    page.heading("How evenly the codes are used")
    title = "1: all codes equally often"
    page.picture(
        draw_bars(out / "perplexity.png", labels, shares, title=title, ylabel="perplexity / codes"),
        "Perplexity over the number of codes. A codebook far below the others predicts little; below 0.05 fit again, "
        "on more music or with fewer codes.",
    )
    ranked = {
        label: Curve(1 + np.arange(len(counts)), np.sort(counts)[::-1] / max(1, counts.sum()))
        for label, counts in zip(labels, usages[0].counts, strict=True)
    }
    page.picture(
        draw_curves(
            out / "ranks.png",
            ranked,
            title=f"Codes of {usages[0].split} from the most to the least frequent",
            xlabel="rank",
            ylabel="share of frames",
        ),
        "A curve that falls to 0 before its end leaves codes unused.",
    )
    durations = {usage.split: [row["mean_duration_ms"] for row in usage.rows] for usage in usages}
    page.heading("How long a code lasts")
    page.picture(
        draw_bars(out / "durations.png", labels, durations, title="Mean length of a stretch of one code", ylabel="ms"),
        "Long stretches can be guessed from a neighbouring frame: the masks have to be longer than they are.",
    )
