"""The heads on codes: one product for all codebooks equals one product for each."""

import pytest
import torch

from mert_fairseq.modules import heads


@pytest.mark.parametrize("joint", [False, True])
def test_logits_and_gradients_are_those_of_an_einsum(joint, monkeypatch):
    monkeypatch.setattr(heads, "joint_product_pays", lambda device: joint)
    torch.manual_seed(0)
    frames, codes = torch.randn(3, 20, 8, requires_grad=True), torch.randn(3, 11, 8, requires_grad=True)
    expected = torch.einsum("qsd,qvd->qsv", frames, codes)
    stacks = heads.codebook_logits(frames, list(codes))
    assert [len(stack) for stack in stacks] == ([3] if joint else [1, 1, 1])
    logits = torch.cat(stacks)
    torch.testing.assert_close(logits, expected)
    weights = torch.randn(3, 20, 11)
    found = torch.autograd.grad((logits * weights).sum(), (frames, codes))
    torch.testing.assert_close(found, torch.autograd.grad((expected * weights).sum(), (frames, codes)))


def test_predictions_are_listed_by_codebook_across_stacks():
    stacks = [torch.zeros(2, 5, 11), torch.ones(1, 5, 7)]
    predictions = heads.CodePredictions([4, 0, 2], stacks, torch.arange(15).view(3, 5))
    assert [(p.codebook, p.logits.shape[1], p.targets[0].item()) for p in predictions] == [
        (4, 11, 0),
        (0, 11, 5),
        (2, 7, 10),
    ]
