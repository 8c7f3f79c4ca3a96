"""Losses and scores: hand-worked cases, and the libraries they must agree with to 1e-6."""

import mir_eval
import numpy as np
import pytest
import torch
from sklearn import metrics

from mert_fairseq.probing.objectives import (
    BeatObjective,
    ChordObjective,
    ClassObjective,
    KeyObjective,
    Objective,
    TagObjective,
    ValueObjective,
)
from mert_fairseq.probing.objectives.base import ranking_auc
from mert_fairseq.probing.objectives.keys import KEYS
from mert_fairseq.probing.probe_data import Clip
from mert_fairseq.probing.rows import Rows
from mert_fairseq.probing.separation.train_separation import challenge_sdr


def rows_of(objective, clips: list[Clip], counts: list[int]) -> Rows:
    states = [torch.zeros(sum(counts), 1)]
    return Rows(states, torch.tensor(counts), clips, objective.encode(clips))


def test_outputs_are_averaged_over_the_windows_of_a_clip_before_the_softmax():
    objective = ClassObjective(("a", "b"))
    rows = rows_of(objective, [Clip("1", "", "a"), Clip("2", "", "b")], [3, 1])
    # windows vote 2 to 1 for b, and so does the mean of probabilities; the mean of the outputs says a
    outputs = torch.tensor([[9.0, 0.0], [0.0, 2.0], [0.0, 2.0], [0.0, 1.0]])
    assert objective.score(outputs, rows)["accuracy"] == 1.0
    assert float(objective.monitor(outputs[None], rows)[0]) == 1.0


def test_an_unknown_class_is_an_error_that_names_the_clip():
    with pytest.raises(ValueError, match="clip7: found the class 'polka', expected one of a, b"):
        ClassObjective(("a", "b")).encode([Clip("clip7", "", "polka")])


def test_a_key_a_fifth_above_scores_half_and_a_fifth_below_nothing():
    objective = KeyObjective()
    keys = {"C major": 1.0, "G major": 0.5, "F major": 0.0, "A minor": 0.3, "C minor": 0.2, "D major": 0.0}
    rows = rows_of(objective, [Clip(str(n), "", "C major") for n in range(len(keys))], [1] * len(keys))
    outputs = torch.eye(24)[[KEYS.index(key) for key in keys]]
    assert objective.score(outputs, rows, "gmean")["weighted_score"] == pytest.approx(sum(keys.values()) / len(keys))


def test_the_four_ways_to_combine_clips_differ_as_worked_out_by_hand():
    objective = KeyObjective(KEYS)
    clips = [Clip(str(n), "", "C major", song="song") for n in range(3)]
    rows = rows_of(objective, clips, [1, 1, 1])
    outputs = torch.full((1, 3, 24), -9.0)
    outputs[0, 0, 0] = 6.0  # one clip is very sure of C
    outputs[0, 0, 1:3] = -6.0
    outputs[0, 1, 1] = outputs[0, 2, 1] = 1.0  # two clips say Db
    outputs[0, 1, 2] = outputs[0, 2, 2] = 0.9  # and nearly D
    best = {how: int(objective.combine(outputs, rows, how)[0, 0].argmax()) for how in objective.aggregations}
    assert best["vote"] == 1
    assert best["max"] == 0
    # gmean: C (6 - 9 - 9) / 3 = -4, Db (-6 + 1 + 1) / 3 = -1.33
    assert best["gmean"] == 1
    probabilities = outputs[0].softmax(1).mean(0)
    assert best["mean"] == int(probabilities.argmax())


def test_key_scores_for_choosing_equal_mir_evals():
    generator = np.random.default_rng(0)
    objective = KeyObjective()
    truth = generator.integers(24, size=50)
    rows = rows_of(objective, [Clip(str(n), "", KEYS[key]) for n, key in enumerate(truth)], [1] * 50)
    outputs = torch.from_numpy(generator.standard_normal((3, 50, 24)))
    fast = objective.fast_score(outputs, rows.unit_targets)
    for run in range(3):
        pairs = zip(truth, outputs[run].argmax(1).tolist(), strict=True)
        expected = np.mean([mir_eval.key.weighted_score(KEYS[r], KEYS[e]) for r, e in pairs])
        assert float(fast[run]) == pytest.approx(expected, abs=1e-12)
        assert objective.score(outputs[run], rows, "gmean")["weighted_score"] == pytest.approx(expected, abs=1e-12)


def frame_rows(objective, targets: list[object], frames: int) -> Rows:
    clips = [Clip(str(number), "", target) for number, target in enumerate(targets)]
    counts = [frames] * len(clips)
    encoded = objective.encode_frames(clips, counts, training=False)
    return Rows([torch.zeros(sum(counts), 1)], torch.tensor(counts), clips, encoded, per_row=True)


def shares_cases() -> dict[str, tuple[Objective, Rows]]:
    classes, keys, chords = ClassObjective(("a", "b", "c")), KeyObjective(), ChordObjective(10.0)
    beats = BeatObjective(10.0, monitor_by="peaks", chosen_for="downbeat")
    return {
        "classes": (classes, rows_of(classes, [Clip(str(n), "", "abc"[n % 3]) for n in range(20)], [2] * 20)),
        "keys": (keys, rows_of(keys, [Clip(str(n), "", KEYS[n], song=str(n // 2)) for n in range(20)], [2] * 20)),
        "chords": (chords, frame_rows(chords, [[[0.0, 1.0, "C major"]], [[1.0, 3.0, "D minor"]]], 30)),
        "beats": (beats, frame_rows(beats, [{"beat": [0.5, 1.5], "downbeat": [0.5, 2.1]}] * 3, 30)),
    }


@pytest.mark.parametrize("kind", shares_cases())
def test_the_shares_of_clips_add_up_to_the_score(kind):
    objective, rows = shares_cases()[kind]
    outputs = torch.randn(len(rows.states[0]), objective.outputs, generator=torch.Generator().manual_seed(1))
    tuned = objective.tune(outputs, rows)
    shares = objective.shares(outputs, rows, tuned)
    assert shares.shape == (len(rows.units), 2)
    total = shares.sum(0)
    score = objective.score(outputs, rows, tuned)[objective.monitor_name]
    assert 0 < score < 1
    assert total[0] / total[1] == pytest.approx(score, abs=1e-12)


def test_areas_and_r2_have_no_shares_of_clips():
    objective = ValueObjective(("arousal",))
    assert objective.shares(torch.zeros(2, 1), None) is None


def test_areas_under_the_curve_equal_scikit_learns_with_ties():
    generator = np.random.default_rng(1)
    outputs = generator.integers(6, size=(2, 80, 5)).astype(np.float64)
    targets = generator.random((80, 5)) < 0.3
    found = ranking_auc(torch.from_numpy(outputs), torch.from_numpy(targets))
    for run in range(2):
        expected = metrics.roc_auc_score(targets, outputs[run], average=None)
        np.testing.assert_allclose(found[run].numpy(), expected, atol=1e-9)


def test_a_tag_that_no_test_clip_has_is_left_out_of_the_mean():
    objective = TagObjective(("x", "y"))
    rows = rows_of(objective, [Clip("1", "", ("x",)), Clip("2", "", ()), Clip("3", "", ("x",))], [1, 1, 1])
    outputs = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    # pairs of x: 1 before 2 is right, 3 before 2 is wrong
    assert objective.score(outputs, rows)["roc_auc"] == pytest.approx(0.5)
    assert float(objective.monitor(outputs[None], rows)[0]) == pytest.approx(0.5)
    assert objective.per_tag(outputs, rows)[1]["roc_auc"] is None
    # precision at x's two recalls: 1/1 and 2/3
    assert objective.score(outputs, rows)["average_precision"] == pytest.approx((1 + 2 / 3) / 2)


def test_r2_is_one_less_the_share_of_variance_that_is_left():
    objective = ValueObjective(("arousal", "valence"))
    clips = [Clip(str(n), "", (float(n), float(-n))) for n in range(3)]
    rows = rows_of(objective, clips, [1, 1, 1])
    outputs = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    scores = objective.score(outputs, rows)
    assert scores["r2_arousal"] == pytest.approx(1 - 1 / 2)
    assert scores["r2_valence"] == pytest.approx(1 - 5 / 2)
    assert float(objective.monitor(outputs[None], rows)[0]) == pytest.approx(scores["r2"])


@pytest.mark.parametrize("tasks", [10, 3])
def test_scores_equal_torchmetrics(tasks):
    torchmetrics = pytest.importorskip("torchmetrics")
    generator = torch.Generator().manual_seed(tasks)
    outputs = torch.randn(120, tasks, generator=generator)
    classes = torch.randint(tasks, (120,), generator=generator)
    names = tuple(map(str, range(tasks)))
    rows = rows_of(ClassObjective(names), [Clip(str(n), "", names[c]) for n, c in enumerate(classes)], [1] * 120)
    accuracy = torchmetrics.Accuracy(task="multiclass", num_classes=tasks)(outputs, classes)
    assert ClassObjective(names).score(outputs, rows)["accuracy"] == pytest.approx(float(accuracy), abs=1e-6)
    tags = torch.rand(120, tasks, generator=generator) < 0.3
    clips = [
        Clip(str(n), "", tuple(name for name, has in zip(names, row, strict=True) if has)) for n, row in enumerate(tags)
    ]
    rows = rows_of(TagObjective(names), clips, [1] * 120)
    scores = TagObjective(names).score(outputs, rows)
    roc = torchmetrics.AUROC(task="multilabel", num_labels=tasks)(outputs, tags.long())
    ap = torchmetrics.AveragePrecision(task="multilabel", num_labels=tasks)(outputs, tags.long())
    assert scores["roc_auc"] == pytest.approx(float(roc), abs=1e-6)
    assert scores["average_precision"] == pytest.approx(float(ap), abs=1e-6)


def test_f1_r2_and_sdr_equal_torchmetrics():
    torchmetrics = pytest.importorskip("torchmetrics")
    random = torch.Generator().manual_seed(0)
    names = ("a", "b", "c", "d")
    outputs, classes = torch.randn(200, 4, generator=random), torch.randint(4, (200,), generator=random)
    rows = rows_of(ClassObjective(names), [Clip(str(n), "", names[c]) for n, c in enumerate(classes)], [1] * 200)
    expected = torchmetrics.F1Score(task="multiclass", num_classes=4, average="macro")(outputs, classes)
    assert ClassObjective(names).score(outputs, rows)["macro_f1"] == pytest.approx(float(expected), abs=1e-6)

    values = ValueObjective(("arousal", "valence"))
    true = torch.randn(200, 2, generator=random, dtype=torch.float64)
    predicted = true + torch.randn(200, 2, generator=random, dtype=torch.float64)
    clips = [Clip(str(n), "", tuple(row)) for n, row in enumerate(true.float().tolist())]
    rows = rows_of(values, clips, [1] * 200)
    each = torchmetrics.R2Score(multioutput="raw_values").double()(predicted, rows.targets.double())
    found = values.score(predicted, rows)
    assert [found["r2_arousal"], found["r2_valence"]] == pytest.approx(each.tolist(), abs=1e-6)
    assert found["r2"] == pytest.approx(float(each.mean()), abs=1e-6)

    song, error = torch.randn(5000, generator=random).double(), torch.randn(5000, generator=random).double()
    ratio = torchmetrics.functional.signal_noise_ratio(song + 0.3 * error, song)
    assert challenge_sdr(song.numpy(), (song + 0.3 * error).numpy()) == pytest.approx(float(ratio), abs=1e-6)
