"""The genre loss, against scikit-learn and numbers worked out by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairseq.logging import metrics
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from mert_fairseq.genre.criterion import GenreCrossEntropy, class_weights_of


class Fixed(nn.Module):
    """A model that gives the logits it is fed."""

    def forward(self, logits):
        return logits


def sample(logits, target):
    logits = torch.tensor(logits, dtype=torch.float32)
    return {"id": torch.arange(len(logits)), "net_input": {"logits": logits}, "target": torch.tensor(target)}


def criterion(counts=(1, 1, 1), **options):
    return GenreCrossEntropy(SimpleNamespace(genre_counts=list(counts)), **options)


LOGITS = [[2.0, 0.0, -1.0], [0.5, 0.5, 3.0], [1.0, 4.0, 0.0], [0.0, 0.0, 0.0]]


def test_one_genre_a_track_is_scikit_learns_log_loss_and_accuracy():
    target = [0, 2, 0, 0]
    loss, size, log = criterion()(Fixed(), sample(LOGITS, target))
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    assert float(loss) == pytest.approx(4 * log_loss(target, probabilities, labels=[0, 1, 2]), rel=1e-5)
    assert size == 4
    assert float(log["correct"]) == 3  # the third is wrong; of equal logits the first counts


def test_balanced_weights_are_scikit_learns_and_weigh_the_loss():
    counts = [6, 3, 1]
    tracks = np.repeat([0, 1, 2], counts)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=tracks)
    assert class_weights_of(counts, "balanced").tolist() == pytest.approx(expected.tolist())
    loss, _, _ = criterion(counts, class_weights="balanced")(Fixed(), sample([[0.0, 0.0, 0.0]] * 2, [0, 2]))
    assert float(loss) == pytest.approx(math.log(3) * (expected[0] + expected[2]), rel=1e-6)


def test_sqrt_weights_average_to_one_over_the_training_tracks():
    weights = class_weights_of([16, 4], "sqrt")
    assert float(weights[1] / weights[0]) == pytest.approx(2.0)
    assert float(16 * weights[0] + 4 * weights[1]) == pytest.approx(20.0)


def test_label_smoothing_spreads_its_share_over_all_genres():
    loss, _, _ = criterion(label_smoothing=0.3)(Fixed(), sample([[math.log(2), 0.0, 0.0]], [0]))
    # softmax (1/2, 1/4, 1/4); targets (0.8, 0.1, 0.1)
    assert float(loss) == pytest.approx(0.8 * math.log(2) + 0.2 * math.log(4), rel=1e-6)


def test_multi_label_tracks_sum_binary_cross_entropies():
    loss, size, log = criterion()(Fixed(), sample([[0.0, math.log(3), 0.0]], [[0.0, 1.0, 1.0]]))
    # sigmoids 1/2, 3/4, 1/2
    assert float(loss) == pytest.approx(math.log(2) + math.log(4 / 3) + math.log(2), rel=1e-6)
    assert (size, float(log["correct"])) == (1, 1)
    weighted, _, _ = criterion([1, 1, 2], class_weights="balanced")(
        Fixed(), sample([[0.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]])
    )
    assert float(weighted) == pytest.approx(math.log(2) * (2 + 4 / 6), rel=1e-6)  # N / (K count) = 4 / (3 x 2)


@pytest.mark.parametrize("target", [[0, 2], [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]])
def test_evaluation_knows_neither_class_weights_nor_label_smoothing(target):
    shaped, plain = criterion([6, 3, 1], class_weights="balanced", label_smoothing=0.3), criterion()
    batch = sample(LOGITS[:2], target)
    assert float(shaped(Fixed().eval(), batch)[0]) == float(plain(Fixed().eval(), batch)[0])
    assert float(shaped(Fixed().train(), batch)[0]) != pytest.approx(float(plain(Fixed().train(), batch)[0]))


def test_logged_values_are_means_over_tracks_and_the_last_batch():
    batches = [([[5.0, 0.0]] * 3, [0, 0, 1]), ([[5.0, 0.0]], [0])]
    metrics.reset()
    with metrics.aggregate("train"):
        for logits, target in batches:
            _, _, log = criterion([1, 1])(Fixed().train(), sample(logits, target))
            GenreCrossEntropy.reduce_metrics([log])
    logged = metrics.get_smoothed_values("train")
    right, wrong = math.log(1 + math.exp(-5)), math.log(1 + math.exp(5))
    assert logged["loss"] == logged["running_loss"] == pytest.approx((3 * right + wrong) / 4, abs=1e-5)
    assert logged["accuracy"] == 0.75
    assert logged["batch_loss"] == pytest.approx(right, abs=1e-5)
    assert logged["batch_accuracy"] == 1.0
    metrics.reset()


def test_validation_logs_no_batch():
    with metrics.aggregate(new_root=True) as valid:
        _, _, log = criterion([1, 1])(Fixed().eval(), sample([[5.0, 0.0]], [1]))
        GenreCrossEntropy.reduce_metrics([log])
    assert set(valid.get_smoothed_values()) == {"loss", "accuracy"}


def test_wrong_options_and_numbers_are_errors():
    with pytest.raises(ValueError, match="class_weights is 'log', expected one of none, balanced, sqrt"):
        criterion(class_weights="log")
    with pytest.raises(ValueError, match="genre 1 of 2 has no training track"):
        criterion([3, 0], class_weights="sqrt")
    with pytest.raises(ValueError, match="label_smoothing is 1.0"):
        criterion(label_smoothing=1.0)
    with pytest.raises(ValueError, match=r"logits \(1, 2\) and target \(1, 3\)"):
        criterion()(Fixed(), sample([[0.0, 0.0]], [[0.0, 1.0, 0.0]]))


def test_a_loss_that_is_not_finite_is_left_to_the_trainer():
    loss, _, log = criterion()(Fixed(), sample([[math.nan, 0.0, 0.0]], [1]))
    assert math.isnan(loss)
    assert math.isnan(log["loss"])
