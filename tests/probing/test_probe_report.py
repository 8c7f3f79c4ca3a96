"""Statistics over seeds, tables, few labels and neighbours."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from test_probe_search import CLASSES, rows

from mert_fairseq.probing.few_labels import few_shot_scores, neighbour_scores
from mert_fairseq.probing.objectives import ClassObjective
from mert_fairseq.probing.published import PUBLISHED
from mert_fairseq.probing.report.score_tables import score_rows, spread
from mert_fairseq.probing.results import over_seeds
from mert_fairseq.probing.rows import Rows
from mert_fairseq.probing.search.protocol import Protocol
from mert_fairseq.probing.tasks import TASKS


def test_the_interval_is_students_over_the_seeds():
    values = [0.70, 0.72, 0.74, 0.71, 0.73]
    found = over_seeds(values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (found["mean"], found["sd"]) == pytest.approx((0.72, np.std(values, ddof=1)))
    assert (found["low"], found["high"]) == pytest.approx((low, high))
    assert spread("accuracy", found) == "72.0 ± 1.6 [70.0, 74.0]"
    assert over_seeds([0.5])["sd"] is None
    assert spread("accuracy", over_seeds([0.5])) == "50.0"
    assert spread("sdr", over_seeds([5.5])) == "5.50"


def result(task: str, published: bool) -> dict:
    scores = {metric: over_seeds([0.5, 0.5]) for metric in TASKS[task].metrics}
    return {
        "task": task, "model": "ours", "published": published, "layer": "7", "learning_rate": 0.001, "scores": scores
    }  # fmt: skip


@pytest.mark.parametrize("task", PUBLISHED)
def test_published_rows_appear_only_for_published_data(task):
    metrics = TASKS[task].metrics
    assert len(score_rows([result(task, False)], metrics)) == 1
    rows = score_rows([result(task, True)], metrics)
    assert [row[0] for row in rows[1:3]] == ["MERT-v1-95M (published)", "MERT-v1-330M (published)"]
    assert all(set(scores) <= set(metrics) for scores in PUBLISHED[task].values())
    assert len(score_rows([result(task, True), result(task, False)], metrics)) == 2


def test_only_the_full_search_under_marbles_protocol_compares_with_published_results():
    assert Protocol("marble", normalize="on").is_published()
    assert Protocol("marble", normalize="on", max_epochs=50, lr_patience=3, stop_patience=10).is_published()
    assert not Protocol("default").is_published()
    assert not Protocol("marble", normalize="on", learning_rates=(1e-3,)).is_published()
    assert not Protocol("marble", normalize="on", layers=(7,)).is_published()


def test_nearest_neighbours_equal_scikit_learns():
    single = [rows(60, windows=1), rows(30, windows=1, seed=1), rows(30, windows=1, seed=2)]
    splits = dict(zip(("train", "valid", "test"), single, strict=True))
    found = neighbour_scores(splits, ClassObjective(CLASSES))
    assert found["layer"] == 2
    scaler = StandardScaler().fit(splits["train"].states[2].numpy())
    model = KNeighborsClassifier(found["neighbours"], metric="cosine")
    model.fit(scaler.transform(splits["train"].states[2].numpy()), splits["train"].targets)
    expected = model.score(scaler.transform(splits["test"].states[2].numpy()), splits["test"].targets)
    assert found["test"]["accuracy"] == pytest.approx(expected, abs=1 / 30)  # the two break ties differently


def test_more_labelled_clips_are_never_beyond_the_largest_class_and_help():
    splits = {"train": rows(90), "test": rows(60, seed=2)}
    found = few_shot_scores(splits, ClassObjective(CLASSES), layer=2)
    assert [row["shots"] for row in found] == [1, 2, 5, 10, 20]
    assert found[-1]["mean"] > max(0.8, found[0]["mean"])


def test_a_class_without_training_clips_is_never_predicted():
    train, test = rows(30), rows(30, seed=2)
    kept = train.targets < 2
    two = Rows(
        [state[kept[train.clip_of_row]] for state in train.states],
        train.counts[kept],
        [clip for clip, keep in zip(train.clips, kept, strict=True) if keep],
        train.targets[kept],
    )
    found = few_shot_scores({"train": two, "test": test}, ClassObjective(CLASSES), layer=2)
    assert found[-1]["mean"] <= 2 / 3
    assert torch.equal(test.targets.unique(), torch.arange(3))
