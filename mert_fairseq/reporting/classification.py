"""Scores of a classifier on a split, computed by scikit-learn, for one class a track or several."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn import metrics

TOP = 3
THRESHOLD = 0.5  # of probability, from which on a track of several classes is said to have a class


class Predictions(NamedTuple):
    """What a classifier says of N tracks about K classes.

    Attributes:
        ids: of the tracks, each once.
        probabilities: (N, K) float; of one class a track they add up to 1.
        targets: (N,) int64 classes, or (N, K) of 0 and 1 for tracks of several classes.
    """

    ids: list[Any]
    probabilities: np.ndarray
    targets: np.ndarray

    @property
    def several(self) -> bool:
        """Whether a track may have several classes."""
        return self.targets.ndim == 2

    @property
    def has(self) -> np.ndarray:
        """(N, K) bool: the classes of each track."""
        if self.several:
            return self.targets > 0.5
        return np.eye(self.probabilities.shape[1], dtype=bool)[self.targets]

    @property
    def predicted(self) -> np.ndarray:
        """(N, K) bool: the most probable class, or, with several classes a track, all from THRESHOLD on."""
        if self.several:
            return self.probabilities >= THRESHOLD
        return np.eye(self.probabilities.shape[1], dtype=bool)[self.probabilities.argmax(1)]


def average_by_track(ids: Sequence[Any], probabilities: np.ndarray, targets: np.ndarray) -> Predictions:
    """Make one row of all rows of a track (its clips): the mean of their probabilities.

    Args:
        ids: (N) of the track that a row is of.
        probabilities: (N, K).
        targets: (N,) or (N, K).

    Returns:
        Tracks in the order in which they first come.

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
    """The scores of a split.

    Args:
        predictions: on N tracks.
        names: of the K classes.

    Returns:
        Plain numbers and lists, for JSON: tracks; accuracy (the most probable class is right); top_3 (a right class is
        among the three most probable); macro_f1 (mean over the classes that have tracks); log_loss (nats a track);
        majority (accuracy of always saying the most frequent class of these tracks); genres: for each its tracks,
        precision, recall, f1; confusion: (K, K) counts of tracks that have the row's class: on the diagonal those that
        are said to have it, elsewhere those that are said to have the column's and lack it. For several classes a track
        also micro_f1 and mean_average_precision.

    Raises:
        ValueError: if there are no tracks, or the numbers of classes differ.
    """
    probabilities, has, said = predictions.probabilities, predictions.has, predictions.predicted
    if not len(probabilities) or probabilities.shape[1] != len(names):
        raise ValueError(f"probabilities {probabilities.shape} for {len(names)} genres; expected (tracks, genres).")
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    hits = np.take_along_axis(has, ranked, axis=1)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(has, said, average=None, zero_division=0)
    tracks_of = has.sum(0)
    scores = {
        "tracks": len(probabilities),
        "accuracy": float(hits[:, 0].mean()),
        f"top_{TOP}": float(hits[:, :TOP].any(1).mean()),
        "macro_f1": float(f1[tracks_of > 0].mean()),
        "log_loss": _log_loss(probabilities, has, predictions.several),
        "majority": float(tracks_of.max() / len(probabilities)),
        "genres": [
            {"genre": name, "tracks": int(count), "precision": float(p), "recall": float(r), "f1": float(f)}
            for name, count, p, r, f in zip(names, tracks_of, precision, recall, f1, strict=True)
        ],
        "confusion": _confusion(has, said).tolist(),
    }
    if predictions.several:
        occurring = tracks_of > 0
        scores["micro_f1"] = float(metrics.f1_score(has, said, average="micro", zero_division=0))
        scores["mean_average_precision"] = float(
            metrics.average_precision_score(has[:, occurring], probabilities[:, occurring], average="macro")
        )
    return scores


def rank_scores(scores: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """accuracy, top_3 and macro_f1 of classifiers that rank classes without probabilities.

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


def _confusion(has: np.ndarray, said: np.ndarray) -> np.ndarray:
    """(K, K) counts of (N, K) bool; a class that a track has beside the row's is no confusion."""
    wrongly = has.astype(np.int64).T @ (said & ~has).astype(np.int64)
    return wrongly + np.diag((said & has).sum(0))


def _log_loss(probabilities: np.ndarray, has: np.ndarray, several: bool) -> float:
    tiny = np.finfo(np.float64).tiny
    right = np.log(np.maximum(probabilities, tiny))[has].sum()
    wrong = np.log(np.maximum(1 - probabilities, tiny))[~has].sum() if several else 0.0
    return float(-(right + wrong) / len(probabilities))
