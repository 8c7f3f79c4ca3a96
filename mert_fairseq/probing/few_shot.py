"""Accuracy by number of labelled clips per class: how far a model gets with few labels."""

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mert_fairseq.probing.objectives import ClassObjective
from mert_fairseq.probing.rows import Rows

SHOTS = (1, 2, 5, 10, 20, 50)
DRAWS = 5
NEVER = -1e9  # the output of a class without labelled clips


def few_shot_scores(
    splits: dict[str, Rows], objective: ClassObjective, layer: int, seed: int = 0
) -> list[dict[str, Any]]:
    """Logistic regression on the features of a layer, of n clips per class, drawn several times.

    Args:
        splits: train and test.
        objective: of classes.
        layer: the state to read.
        seed: of the draws.

    Returns:
        For each n that is not beyond the largest class: shots, and mean and sd of the main score on test.
    """
    train, test = splits["train"], splits["test"]
    features, classes = train.states[layer].float().numpy(), train.targets.numpy()
    tested = test.states[layer].float().numpy()
    largest = int(np.bincount(classes).max())
    random = np.random.default_rng(seed)
    found = []
    for shots in [shots for shots in SHOTS if shots <= largest]:
        scores = []
        for _ in range(DRAWS):
            order = random.permutation(len(classes))
            clips = np.concatenate([order[classes[order] == each][:shots] for each in np.unique(classes)])
            rows = np.flatnonzero(np.isin(train.clip_of_row.numpy(), clips))
            scaler = StandardScaler().fit(features[rows])
            model = LogisticRegression(max_iter=1000)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="The number of unique classes")  # one clip per class
                model.fit(scaler.transform(features[rows]), classes[train.clip_of_row.numpy()[rows]])
            outputs = np.full((len(tested), objective.outputs), NEVER)
            outputs[:, model.classes_] = model.predict_log_proba(scaler.transform(tested))
            scores.append(objective.score(torch.from_numpy(outputs), test)[objective.monitor_name])
        found.append({"shots": shots, "mean": float(np.mean(scores)), "sd": float(np.std(scores, ddof=1))})
    return found
