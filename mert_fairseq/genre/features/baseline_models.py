"""scikit-learn classifiers as baselines. Each is fitted with a few settings; validation selects the one to test."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

Split = tuple[np.ndarray, np.ndarray]  # features (N, C) float32, classes (N,) int64


class Candidate(NamedTuple):
    """An unfitted classifier with one setting."""

    model: str
    setting: str
    classifier: Any


CANDIDATES = (
    Candidate("most frequent genre", "", DummyClassifier(strategy="most_frequent")),
    *(
        Candidate("logistic regression", f"C={strength:g}", LogisticRegression(C=strength, max_iter=1000))
        for strength in (0.001, 0.01, 0.1, 1.0)
    ),
    *(Candidate("kNN", f"k={neighbours}", KNeighborsClassifier(neighbours)) for neighbours in (10, 50, 200)),
    # break_ties makes predict agree with decision_function
    *(Candidate("SVM", f"RBF, C={strength:g}", SVC(C=strength, break_ties=True)) for strength in (1.0, 10.0)),
    *(
        Candidate("MLP", f"100 hidden, alpha={decay:g}", MLPClassifier(100, alpha=decay, early_stopping=True))
        for decay in (1e-4, 1.0)
    ),
)
MODELS = tuple(dict.fromkeys(candidate.model for candidate in CANDIDATES))


class Fitted(NamedTuple):
    """A model with its best setting.

    Attributes:
        candidate: the model and its setting.
        valid_accuracy: accuracy on validation, which selected the setting.
        scores: (N, K) for the test tracks; higher means more probable.
    """

    candidate: Candidate
    valid_accuracy: float
    scores: np.ndarray


def fit_best(model: str, train: Split, valid: Split, test: np.ndarray, genres: int, seed: int) -> Fitted:
    """Fit all settings of a model on the training tracks and keep the best on validation (the first of equal ones).

    Args:
        model: one of MODELS.
        train: fits the classifiers.
        valid: selects the setting.
        test: features (N, C) of the tracks to score.
        genres: K.
        seed: of classifiers with a random state.

    Raises:
        ValueError: if the model is unknown, or needs more training tracks.
    """
    best: tuple[float, Candidate, Any] | None = None
    for candidate in CANDIDATES:
        parameters = candidate.classifier.get_params()
        if candidate.model != model or parameters.get("n_neighbors", 1) > len(train[0]):
            continue
        fitted = clone(candidate.classifier)
        if "random_state" in parameters:
            fitted.set_params(random_state=seed)
        fitted.fit(*train)
        accuracy = float((_scores(fitted, valid[0], genres).argmax(1) == valid[1]).mean())
        if best is None or accuracy > best[0]:
            best = accuracy, candidate, fitted
    if best is None:
        raise ValueError(f"baseline {model!r} cannot be fitted on {len(train[0])} tracks; choose from {MODELS}.")
    accuracy, candidate, fitted = best
    return Fitted(candidate, accuracy, _scores(fitted, test, genres))


def _scores(fitted: Any, features: np.ndarray, genres: int) -> np.ndarray:
    """(N, K) probabilities, or decision values for an SVM."""
    if hasattr(fitted, "predict_proba"):
        found = fitted.predict_proba(features)
    else:
        found = fitted.decision_function(features)
        if found.ndim == 1:  # two classes
            found = np.stack([-found, found], axis=1)
    scores = np.full((len(features), genres), -np.inf)
    scores[:, fitted.classes_] = found
    return scores
