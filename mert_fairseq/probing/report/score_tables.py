"""The tables of a report, for people and for machines."""

from collections.abc import Mapping, Sequence
from typing import Any

from mert_fairseq.probing.published import PUBLISHED

MISSING = "-"


def number(metric: str, value: float | None) -> str:
    """SDR in decibels with two digits, all else times 100 with one."""
    if value is None:
        return MISSING
    return f"{value:.2f}" if metric.startswith("sdr") else f"{100 * value:.1f}"


def spread(metric: str, scores: Mapping[str, Any]) -> str:
    """ "78.6 ± 0.5 [78.0, 79.2]": mean, standard deviation, 95 % interval of the mean over seeds."""
    if scores["sd"] is None:
        return number(metric, scores["mean"])
    low, high = number(metric, scores["low"]), number(metric, scores["high"])
    return f"{number(metric, scores['mean'])} ± {number(metric, scores['sd'])} [{low}, {high}]"


def score_rows(results: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> list[list[str]]:
    """One row per model: name, scores, layer and learning rate; the published ones below if they compare."""
    rows = [
        [
            each["model"],
            *(spread(metric, each["scores"][metric]) for metric in metrics),
            each["layer"],
            f"{each['learning_rate']:g}",
        ]
        for each in results
    ]
    if results and all(each["published"] for each in results):
        for model, scores in PUBLISHED.get(results[0]["task"], {}).items():
            rows.append([f"{model} (published)", *(number(m, scores.get(m)) for m in metrics), MISSING, MISSING])
    return rows


def csv_rows(results: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """One row per task, model and metric: mean, sd, low, high, seeds, layer, learning rate; then those on copies."""
    return [
        [
            each["task"],
            each["model"],
            metric,
            scores["mean"],
            scores["sd"],
            scores["low"],
            scores["high"],
            len(scores["values"]),
            each["layer"],
            each["learning_rate"],
        ]
        for each in results
        for metric, scores in _named_scores(each)
    ]


def _named_scores(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    copies = result.get("copies", {}).items()
    return [
        *result["scores"].items(),
        *((f"{metric} on {kind}", scores) for kind, found in copies for metric, scores in found.items()),
    ]


CSV_HEADER = ["task", "model", "metric", "mean", "sd", "low", "high", "seeds", "layer", "learning_rate"]
