"""Scores of classifiers against values computed by hand, and the history of epochs."""

import json
import math

import numpy as np
import pytest

from mert_fairseq.genre.epoch_history import EpochHistory
from mert_fairseq.genre.metrics import Predictions, average_by_track, score

NAMES = ["Folk", "Jazz", "Pop", "Rock", "Polka"]
SINGLE_LABEL = Predictions(
    [11, 12, 13, 14],
    np.array(
        [[0.5, 0.2, 0.2, 0.1, 0], [0.1, 0.2, 0.3, 0.4, 0], [0.6, 0.1, 0.1, 0.2, 0], [0.05, 0.05, 0.1, 0.8, 0]],
    ),
    np.array([0, 3, 3, 1]),
)


MULTI_LABEL = Predictions([1, 2], np.array([[0.9, 0.6, 0.1], [0.2, 0.7, 0.4]]), np.array([[1, 0, 0], [1, 1, 0]]))


def test_single_label_tracks_are_scored():
    scores = score(SINGLE_LABEL, NAMES)
    assert scores["accuracy"] == 0.5  # the first two
    assert scores["top_3"] == 0.75  # the third as the second guess; the fourth's 0.05 comes fourth
    assert scores["majority"] == 0.5
    # Folk: P 1/2, R 1, F1 2/3; Rock: P 1/2, R 1/2, F1 1/2; Jazz 0; Pop and Polka have no track
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert scores["log_loss"] == pytest.approx(-math.log(0.5 * 0.4 * 0.2 * 0.05) / 4)
    assert scores["confusion"] == [[1, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0] * 5, [1, 0, 0, 1, 0], [0] * 5]
    assert [genre["tracks"] for genre in scores["genres"]] == [1, 1, 0, 2, 0]
    assert scores["genres"][3] == {"genre": "Rock", "tracks": 2, "precision": 0.5, "recall": 0.5, "f1": 0.5}


def test_multi_label_tracks_are_scored():
    scores = score(MULTI_LABEL, ["A", "B", "C"])
    assert scores["accuracy"] == 1.0
    # A: 1 of 2 found, none wrong; B: 1 of 1 found, 1 wrong; C has no track
    assert scores["micro_f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert scores["macro_f1"] == pytest.approx(2 / 3)
    assert scores["mean_average_precision"] == 1.0
    # two tracks have A: A is predicted for one; B is wrongly predicted for one and rightly for the other
    assert scores["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    expected = 0.9 * 0.4 * 0.9 * 0.2 * 0.7 * 0.6
    assert scores["log_loss"] == pytest.approx(-math.log(expected) / 2)


def test_clips_of_a_track_are_averaged():
    got = average_by_track(["b", "a", "b"], np.array([[0.2, 0.8], [1.0, 0.0], [0.6, 0.4]]), np.array([1, 0, 1]))
    assert got.ids == ["b", "a"]
    assert got.probabilities.tolist() == [[pytest.approx(0.4), pytest.approx(0.6)], [1.0, 0.0]]
    assert got.targets.tolist() == [1, 0]
    with pytest.raises(ValueError, match="track b: its clips have different genres"):
        average_by_track(["b", "b"], np.zeros((2, 2)), np.array([1, 0]))


def test_scores_need_tracks_and_a_name_for_each_genre():
    with pytest.raises(ValueError, match=r"probabilities \(4, 5\) for 2 genres"):
        score(SINGLE_LABEL, ["A", "B"])


def row(epoch, accuracy=0.5):
    losses = {"train_loss": 2.0, "train_accuracy": 0.4, "valid_loss": 1.5, "valid_accuracy": accuracy}
    return {"epoch": epoch, "updates": 10 * epoch, **losses}


def test_an_epoch_that_runs_again_replaces_its_row_and_all_later_rows(tmp_path):
    history = EpochHistory()
    for epoch in (1, 2, 3):
        history.put(row(epoch))
    history.put(row(2, accuracy=0.75))
    assert history.arrays()["epoch"] == [1, 2]
    assert history.arrays()["valid_accuracy"] == [0.5, 0.75]
    history.write(tmp_path / "new" / "history.json")
    stored = json.loads((tmp_path / "new" / "history.json").read_text())
    assert stored["updates"] == [10, 20]
    assert stored["train_loss"] == [2.0, 2.0]
    assert EpochHistory.read(tmp_path / "new" / "history.json").rows == history.rows


def test_the_best_epoch_is_the_last_of_equals():
    assert EpochHistory([row(1, 0.2), row(2, 0.6), row(3, 0.6), row(4, 0.1)]).best()["epoch"] == 3


def test_a_damaged_history_is_an_error(tmp_path):
    path = tmp_path / "history.json"
    with pytest.raises(FileNotFoundError, match="no such history"):
        EpochHistory.read(path)
    path.write_text(json.dumps({"epoch": [1, 2]}))
    with pytest.raises(ValueError, match="not a training history"):
        EpochHistory.read(path)
    path.write_text(json.dumps({**EpochHistory([row(1)]).arrays(), "epoch": [1, 2]}))
    with pytest.raises(ValueError, match="all of the same length"):
        EpochHistory.read(path)
    with pytest.raises(ValueError, match="expected .*valid_loss"):
        EpochHistory().put({"epoch": 1})
