"""The report on a trained classifier: one page with scores, curves and confusions, and the numbers as JSON and CSV."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mert_fairseq.files import replacing
from mert_fairseq.reporting.classification import THRESHOLD, TOP, Predictions, score
from mert_fairseq.reporting.classification_figures import draw_confusion, draw_scores
from mert_fairseq.reporting.epoch_history import EpochHistory
from mert_fairseq.reporting.figures import draw_curves
from mert_fairseq.reporting.page import Page

SCORES_FILE, PREDICTIONS_FILE = "scores.json", "predictions.csv"
MOST_CONFUSED = 10


class Section(NamedTuple):
    """A further table of the page, and a sentence below it."""

    heading: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def write_report(
    folder: Path,
    predictions: Predictions,
    names: Sequence[str],
    *,
    title: str,
    facts: Mapping[str, str] | None = None,
    history: EpochHistory | None = None,
    sections: Sequence[Section] = (),
) -> dict[str, Any]:
    """Write ``index.html`` with its pictures, ``scores.json`` and ``predictions.csv``.

    Args:
        folder: made if it is not there.
        predictions: on the tracks of a split.
        names: of the classes.
        title: of the page.
        facts: what was tested, by label: checkpoint, data, split.
        history: of the training; draws its curves.
        sections: further tables, below the scores.

    Returns:
        The scores, see :func:`mert_fairseq.reporting.classification.score`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scores = score(predictions, names)
    with replacing(folder / SCORES_FILE) as partial:
        partial.write_text(json.dumps(scores, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    _write_predictions(folder / PREDICTIONS_FILE, predictions, names)

    page = Page(title)
    if facts:
        page.table(["tested", ""], [[label, text] for label, text in facts.items()])
    page.heading("Scores")
    _scores(page, scores)
    for section in sections:
        page.heading(section.heading)
        page.table(section.header, section.rows)
        page.paragraph(section.note)
    page.heading("Genres")
    _genres(page, folder, scores, predictions.several)
    if history is not None and history.rows:
        page.heading("Training")
        _training(page, folder, history)
    page.write(folder)
    return scores


def percent(share: float) -> str:
    """For people: 0.1234 is "12.3 %"."""
    return f"{100 * share:.1f} %"


def _scores(page: Page, scores: Mapping[str, Any]) -> None:
    rows = [
        ["tracks", f"{scores['tracks']:,}"],
        ["accuracy", percent(scores["accuracy"])],
        [f"top {TOP}", percent(scores[f"top_{TOP}"])],
        ["macro F1", f"{scores['macro_f1']:.3f}"],
        ["log loss, nats", f"{scores['log_loss']:.3f}"],
        ["always the most frequent genre", percent(scores["majority"])],
    ]
    rows += [
        [name.replace("_", " "), f"{scores[name]:.3f}"]
        for name in ("micro_f1", "mean_average_precision")
        if name in scores
    ]
    page.table(["score", ""], rows)
    page.paragraph(
        f"Accuracy: the most probable genre is right. Top {TOP}: a right genre is among the {TOP} most probable. Macro "
        "F1: mean over the genres that have tracks here."
    )


def _genres(page: Page, folder: Path, scores: Mapping[str, Any], several: bool) -> None:
    genres = scores["genres"]
    names = [genre["genre"] for genre in genres]
    counts = np.array(scores["confusion"])
    page.picture(
        draw_confusion(
            folder / "confusion.png", counts, [genre["tracks"] for genre in genres], names, "Confusion matrix"
        ),
        "Rows: tracks that have a genre; columns: what they are said to be, in percent of the row's tracks."
        + (
            f" A track may have several genres, and is said to have those of probability {THRESHOLD} or more. Off the "
            f"diagonal stand only genres that the tracks lack."
        )
        * several,
    )
    f1 = [genre["f1"] for genre in genres]
    page.picture(draw_scores(folder / "f1.png", names, f1, "F1 of each genre", "F1"), "F1 of each genre.")
    page.table(
        ["genre", "tracks", "precision", "recall", "F1"],
        [
            [genre["genre"], f"{genre['tracks']:,}", *(f"{genre[key]:.3f}" for key in ("precision", "recall", "f1"))]
            for genre in genres
        ],
    )
    wrong = counts * (1 - np.eye(len(names), dtype=np.int64))
    pairs = [divmod(int(place), len(names)) for place in np.argsort(-wrong.ravel(), kind="stable")[:MOST_CONFUSED]]
    rows = [[names[true], names[said], f"{wrong[true, said]:,}"] for true, said in pairs if wrong[true, said]]
    if rows and not several:
        page.paragraph("The most frequent mistakes:")
        page.table(["genre", "taken for", "tracks"], rows)


def _training(page: Page, folder: Path, history: EpochHistory) -> None:
    best = history.best()
    for quantity, unit in (("loss", "nats a track"), ("accuracy", "share of tracks")):
        text = f"Mean {quantity} of each epoch"
        path = draw_curves(
            folder / f"{quantity}.png",
            history.curves(quantity),
            title=text,
            ylabel=unit,
            xlabel="epoch",
            marks={"best validation accuracy": int(best["epoch"])},
        )
        page.picture(path, text)
    page.paragraph(
        "Training values are means over an epoch in which the model changes, with dropout and whatever class weights "
        "and smoothing the loss has; validation values are those of the model at the epoch's end, without them."
    )
    page.table(
        ["epoch", "updates", "training loss", "training accuracy", "validation loss", "validation accuracy"],
        [
            [
                str(row["epoch"]),
                f"{row['updates']:,}",
                f"{row['train_loss']:.4f}",
                percent(row["train_accuracy"]),
                f"{row['valid_loss']:.4f}",
                percent(row["valid_accuracy"]),
            ]
            for row in history.rows
        ],
    )


def _write_predictions(path: Path, predictions: Predictions, names: Sequence[str]) -> None:
    """A line a track: id, its genres, those it is said to have (see `Predictions.predicted`), all probabilities."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "genres", "predicted", *names])
        rows = zip(predictions.ids, predictions.has, predictions.predicted, predictions.probabilities, strict=True)
        for track, has, said, probabilities in rows:
            genres = (", ".join(names[place] for place in np.flatnonzero(chosen).tolist()) for chosen in (has, said))
            writer.writerow([track, *genres, *(f"{value:.5f}" for value in probabilities)])
