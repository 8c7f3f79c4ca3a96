"""Mixing layers and pooling frames."""

import pytest
import torch

from mert_fairseq.genre.audio.pooling import AttentionPooling, MeanPooling, WeightedLayerSum, build_pooling

X = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]], [[1.0, 1.0], [2.0, 2.0], [6.0, 9.0]]])
PADDING = torch.tensor([[False, False, True], [False, False, False]])


@pytest.mark.parametrize("pooling", [MeanPooling(), AttentionPooling(2)])
def test_pooling_starts_as_the_mean_of_real_frames(pooling):
    torch.testing.assert_close(pooling(X, PADDING), torch.tensor([[2.0, 4.0], [3.0, 4.0]]))
    torch.testing.assert_close(pooling(X), X.mean(1))


def test_attention_weighs_by_its_scores_and_never_by_padding():
    pooling = AttentionPooling(2)
    with torch.no_grad():
        pooling.score.weight.copy_(torch.tensor([[0.5, 0.0]]))
    # scores 0.5 and 1.5: the second of two real frames weighs e / (1 + e)
    second = torch.e / (1 + torch.e)
    expected = (1 - second) * X[0, 0] + second * X[0, 1]
    torch.testing.assert_close(pooling(X, PADDING)[0], expected)


def test_layers_start_equal_and_are_normalised_before_they_are_mixed():
    mixture = WeightedLayerSum(2)
    small = torch.tensor([[[-1.0, 1.0]]])
    torch.testing.assert_close(mixture([small, 1000 * small]), small, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        mixture.logits.copy_(torch.tensor([0.0, torch.tensor(3.0).log()]))
    torch.testing.assert_close(mixture.weights(), torch.tensor([0.25, 0.75]))
    torch.testing.assert_close(mixture([small, -small]), -0.5 * small, rtol=1e-4, atol=1e-4)


def test_an_unknown_pooling_is_an_error():
    with pytest.raises(ValueError, match="model.pooling is 'max', expected 'mean' or 'attention'"):
        build_pooling("max", 4)
