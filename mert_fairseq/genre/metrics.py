"""Scores of a classifier on a split, computed with scikit-learn, for single-label and multi-label tracks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn import metrics

TOP = 3
THRESHOLD = 0.5  # probability from which on a class is predicted for a multi-label track


class Predictions(NamedTuple):
    """Predicted probabilities and true classes of N tracks, for K classes.

    Attributes:
        ids: of the tracks, each once.
        probabilities: (N, K) float; for single-label tracks each row sums to 1.
        targets: (N,) int64 classes, or (N, K) of 0 and 1 for multi-label tracks.
    """

    ids: list[Any]
    probabilities: np.ndarray
    targets: np.ndarray

    @property
    def multi_label(self) -> bool:
        """Whether a track may have several classes."""
        return self.targets.ndim == 2

    @property
    def y_true(self) -> np.ndarray:
        """(N, K) bool: the classes of each track."""
        if self.multi_label:
            return self.targets > 0.5
        return np.eye(self.probabilities.shape[1], dtype=bool)[self.targets]

    @property
    def y_pred(self) -> np.ndarray:
        """(N, K) bool: the most probable class; for multi-label tracks all classes of at least THRESHOLD."""
        if self.multi_label:
            return self.probabilities >= THRESHOLD
        return np.eye(self.probabilities.shape[1], dtype=bool)[self.probabilities.argmax(1)]


def average_by_track(ids: Sequence[Any], probabilities: np.ndarray, targets: np.ndarray) -> Predictions:
    """Average the probabilities of all rows (clips) of each track.

    Args:
        ids: (N) track id of each row.
        probabilities: (N, K).
        targets: (N,) or (N, K).

    Returns:
        One row per track, in the order of first occurrence.

    Raises:
        ValueError: if rows of one track have different targets.
    """
    place = {track: row for row, track in enumerate(dict.fromkeys(ids))}
    rows = np.array([place[track] for track in ids])
    firsts = np.unique(rows, return_index=True)[1]
    if (differing := np.flatnonzero((targets != targets[firsts][rows]).reshape(len(rows), -1).any(1))).size:
        raise ValueError(f"track {ids[differing[0]]}: its clips have different genres. All clips of a track share one.")
    sums = np.zeros((len(place), probabilities.shape[1]))
    np.add.at(sums, rows, probabilities)
    return Predictions(list(place), sums / np.bincount(rows)[:, None], targets[firsts])


def score(predictions: Predictions, names: Sequence[str]) -> dict[str, Any]:
    """Compute the scores of a split.

    Args:
        predictions: on N tracks.
        names: of the K classes.

    Returns:
        Plain numbers and lists, for JSON:

        - tracks: N.
        - accuracy: share of tracks whose most probable class is right.
        - top_3: share of tracks with a right class among the three most probable.
        - macro_f1: mean F1 of the classes that have tracks.
        - log_loss: nats per track.
        - majority: accuracy of a classifier that always predicts the most frequent class of these tracks.
        - genres: tracks, precision, recall and f1 of each class.
        - confusion: (K, K) counts. On the diagonal: tracks of the class for which it is predicted. Elsewhere: tracks
          of the row's class for which the column's class is predicted although they do not have it.
        - micro_f1, mean_average_precision: for multi-label tracks only.

    Raises:
        ValueError: if there are no tracks, or the numbers of classes differ.
    """
    probabilities, y_true, y_pred = predictions.probabilities, predictions.y_true, predictions.y_pred
    if not len(probabilities) or probabilities.shape[1] != len(names):
        raise ValueError(f"probabilities {probabilities.shape} for {len(names)} genres; expected (tracks, genres).")
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    hits = np.take_along_axis(y_true, ranked, axis=1)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(y_true, y_pred, average=None, zero_division=0)
    class_tracks = y_true.sum(0)
    scores = {
        "tracks": len(probabilities),
        "accuracy": float(hits[:, 0].mean()),
        f"top_{TOP}": float(hits[:, :TOP].any(1).mean()),
        "macro_f1": float(f1[class_tracks > 0].mean()),
        "log_loss": _log_loss(probabilities, y_true, predictions.multi_label),
        "majority": float(class_tracks.max() / len(probabilities)),
        "genres": [
            {"genre": name, "tracks": int(count), "precision": float(p), "recall": float(r), "f1": float(f)}
            for name, count, p, r, f in zip(names, class_tracks, precision, recall, f1, strict=True)
        ],
        "confusion": _confusion(y_true, y_pred).tolist(),
    }
    if predictions.multi_label:
        present = class_tracks > 0
        scores["micro_f1"] = float(metrics.f1_score(y_true, y_pred, average="micro", zero_division=0))
        scores["mean_average_precision"] = float(
            metrics.average_precision_score(y_true[:, present], probabilities[:, present], average="macro")
        )
    return scores


def rank_scores(scores: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Compute accuracy, top_3 and macro_f1 of a classifier that ranks classes without probabilities.

    Args:
        scores: (N, K), higher means more probable.
        targets: (N,) classes.
    """
    ranked = np.argsort(-scores, axis=1, kind="stable")
    hits = ranked == targets[:, None]
    return {
        "accuracy": float(hits[:, 0].mean()),
        f"top_{TOP}": float(hits[:, :TOP].any(1).mean()),
        "macro_f1": float(
            metrics.f1_score(targets, ranked[:, 0], labels=np.unique(targets), average="macro", zero_division=0)
        ),
    }


def percent(share: float) -> str:
    """Format a share for people: 0.1234 becomes "12.3 %"."""
    return f"{100 * share:.1f} %"


def _confusion(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """(K, K) counts from (N, K) bool. A further true class of a track is not a confusion."""
    wrong = y_true.astype(np.int64).T @ (y_pred & ~y_true).astype(np.int64)
    return wrong + np.diag((y_pred & y_true).sum(0))


def _log_loss(probabilities: np.ndarray, y_true: np.ndarray, multi_label: bool) -> float:
    tiny = np.finfo(np.float64).tiny
    right = np.log(np.maximum(probabilities, tiny))[y_true].sum()
    wrong = np.log(np.maximum(1 - probabilities, tiny))[~y_true].sum() if multi_label else 0.0
    return float(-(right + wrong) / len(probabilities))
