"""MERT configured as HuBERT equals fairseq's model and criterion: same weights, batch and mask."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairseq.criterions.hubert_criterion import HubertCriterion
from fairseq.data.dictionary import Dictionary
from fairseq.models.hubert import hubert as fairseq_hubert

from mert_fairseq.criterions.mert_criterion import MERTCriterion
from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.mert_config import MERTConfig

CODEBOOKS, CODES, SAMPLE_RATE = 2, 20, 16_000
FIELDS = {
    "label_rate": 50.0,
    "encoder_layers": 2,
    "encoder_embed_dim": 24,
    "encoder_ffn_embed_dim": 32,
    "encoder_attention_heads": 4,
    "conv_feature_layers": "[(16,10,5)] + [(16,3,2)] * 4 + [(16,2,2)] * 2",
    "conv_pos": 8,
    "conv_pos_groups": 4,
    "final_dim": 8,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "skip_nomask": False,
    "mask_prob": 0.65,
    "mask_length": 3,
}


def _dictionary() -> Dictionary:
    dictionary = Dictionary()
    for code in range(CODES):
        dictionary.add_symbol(str(code), 1 + (code == 3))
    return dictionary


def _pair(**fields):
    """Our model with the weights of fairseq's HuBERT, that model, and a task."""
    torch.manual_seed(0)
    dictionaries = [_dictionary()] * CODEBOOKS
    theirs = fairseq_hubert.HubertModel(
        fairseq_hubert.HubertConfig(**{**FIELDS, **fields}), SimpleNamespace(sample_rate=SAMPLE_RATE), dictionaries
    )
    ours = MERTModel(MERTConfig(**{**FIELDS, **fields}), SAMPLE_RATE, [len(d) for d in dictionaries])
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs, SimpleNamespace(dictionaries=dictionaries)


def _sample(padded: bool) -> dict:
    torch.manual_seed(1)
    source = torch.randn(3, 16_000) * 0.1
    padding = torch.zeros(3, 16_000, dtype=torch.bool)
    if padded:
        padding[2, 11_000:] = True
        source = source.masked_fill(padding, 0.0)
    targets = [torch.randint(4, CODES + 4, (3, 50)) for _ in range(CODEBOOKS)]
    return {"id": torch.arange(3), "target_list": targets, "net_input": {"source": source, "padding_mask": padding}}


def _run(model, criterion, sample):
    model.zero_grad()
    loss, size, log = criterion(model.eval(), sample)
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return loss.detach(), size, log, gradients


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("fields", [
    {}, {"untie_final_proj": True}, {"target_glu": True}, {"layer_norm_first": True, "extractor_mode": "layer_norm"},
    {"feature_grad_mult": 0.1, "logit_temp": 0.5}, {"final_dim": 0, "encoder_embed_dim": 16},
])  # fmt: skip
def test_loss_gradients_and_logs_equal_fairseqs_hubert(fields, padded, monkeypatch):
    ours, theirs, task = _pair(**fields)
    sample = _sample(padded)
    mask = np.random.default_rng(2).random((3, 49)) < 0.4
    monkeypatch.setattr(fairseq_hubert, "compute_mask_indices", lambda *args, **kwargs: mask)
    reference = _run(theirs, HubertCriterion(task, 1.0, 0.3, loss_weights=[10.0]), sample)
    replay = {**sample, "net_input": {**sample["net_input"], "mask_indices": torch.from_numpy(mask)}}
    for criterion in (
        HubertCriterion(task, 1.0, 0.3, loss_weights=[10.0]),
        MERTCriterion(task, pred_masked_weight=1.0, pred_nomask_weight=0.3, features_pen_weight=10.0),
    ):
        loss, size, log, gradients = _run(ours, criterion, replay)
        assert size == reference[1]
        torch.testing.assert_close(loss, reference[0], rtol=1e-5, atol=0)
        for name, value in reference[2].items():
            assert float(log[name]) == pytest.approx(float(value), rel=1e-5), name
        for name, gradient in reference[3].items():
            torch.testing.assert_close(gradients[name], gradient, rtol=1e-3, atol=1e-4, msg=name)


def test_baseline_counts_the_most_frequent_code_of_the_dictionary():
    ours, _, task = _pair()
    sample = _sample(False)
    sample["target_list"][0][:] = 3 + 4
    _, size, log = MERTCriterion(task)(ours, sample)
    assert log["baseline_m_0"] == size
    assert 0 < log["baseline_m_1"] < size
