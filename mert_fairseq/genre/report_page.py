"""The report on a trained classifier: an HTML page with scores, curves and confusions, and JSON and CSV files."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mert_fairseq.files import replacing
from mert_fairseq.genre.epoch_history import EpochHistory
from mert_fairseq.genre.metrics import THRESHOLD, TOP, Predictions, percent, score
from mert_fairseq.reporting.figures import draw_confusion, draw_curves, draw_scores
from mert_fairseq.reporting.page import Page

SCORES_FILE, PREDICTIONS_FILE = "scores.json", "predictions.csv"
MAX_CONFUSIONS = 10


class Section(NamedTuple):
    """An additional table on the page, with a note below it."""

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
    """Write ``index.html`` with its figures, ``scores.json`` and ``predictions.csv``.

    Args:
        folder: created if missing.
        predictions: on the tracks of a split.
        names: of the classes.
        title: of the page.
        facts: what was tested (checkpoint, data, split), by label.
        history: of the training, drawn as curves.
        sections: additional tables, shown below the scores.

    Returns:
        The scores of :func:`mert_fairseq.genre.metrics.score`.
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
    _genres(page, folder, scores, predictions.multi_label)
    if history is not None and history.rows:
        page.heading("Training")
        _training(page, folder, history)
    page.write(folder)
    return scores


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


def _genres(page: Page, folder: Path, scores: Mapping[str, Any], multi_label: bool) -> None:
    genres = scores["genres"]
    names = [genre["genre"] for genre in genres]
    counts = np.array(scores["confusion"])
    page.picture(
        draw_confusion(
            folder / "confusion.png", counts, [genre["tracks"] for genre in genres], names, "Confusion matrix"
        ),
        "Rows: true genre; columns: predicted genre, in percent of the tracks of the row."
        + (
            f" A track may have several genres. All genres with a probability of at least {THRESHOLD} are predicted. "
            f"Cells off the diagonal count only predicted genres that the track does not have."
        )
        * multi_label,
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
    pairs = [divmod(int(place), len(names)) for place in np.argsort(-wrong.ravel(), kind="stable")[:MAX_CONFUSIONS]]
    rows = [
        [names[true], names[predicted], f"{count:,}"] for true, predicted in pairs if (count := wrong[true, predicted])
    ]
    if rows and not multi_label:
        page.paragraph("The most frequent mistakes:")
        page.table(["genre", "predicted", "tracks"], rows)


def _training(page: Page, folder: Path, history: EpochHistory) -> None:
    best = history.best()
    for quantity, unit in (("loss", "nats per track"), ("accuracy", "share of tracks")):
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
        "Training values are means over the epoch while the model changes. They include dropout, class weights and "
        "label smoothing. Validation values are those of the model at the end of the epoch, without these three."
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
    """Write one line per track: id, true genres, predicted genres (`Predictions.y_pred`), all probabilities."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "genres", "predicted", *names])
        rows = zip(predictions.ids, predictions.y_true, predictions.y_pred, predictions.probabilities, strict=True)
        for track, true, predicted, probabilities in rows:
            genres = (
                ", ".join(names[place] for place in np.flatnonzero(chosen).tolist()) for chosen in (true, predicted)
            )
            writer.writerow([track, *genres, *(f"{value:.5f}" for value in probabilities)])
