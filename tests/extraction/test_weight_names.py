"""The map of names is exact and reversible."""

import pytest
import torch
from hubert_twin import hubert_name
from tiny_mert import tiny_mert

from mert_fairseq.checkpointing.warm_start import is_head
from mert_fairseq.extraction.weight_names import from_hf, hf_names, to_hf


def encoder_weights(**options):
    weights = tiny_mert(**options).state_dict()
    return {name: weight for name, weight in weights.items() if not is_head(name)}


@pytest.mark.parametrize("mode", ["default", "layer_norm"])
def test_names_are_those_of_an_independent_map(mode):
    weights = encoder_weights(extractor_mode=mode, conv_bias=True)
    assert hf_names(weights) == {name: hubert_name(name) for name in weights}


@pytest.mark.parametrize(
    "options",
    [
        {"layer_norm_first": True, "subln": True},
        {"pos_conv_depth": 3},
        {"do_cnn_feat_stable_layernorm": True},
        {"extractor_mode": "default", "conv_bias": True},
    ],
)
def test_there_and_back_returns_every_weight(options):
    weights = encoder_weights(**options)
    back = from_hf(to_hf(weights), weights, "here")
    assert back.keys() == weights.keys()
    assert all(back[name] is weights[name] for name in weights)


def test_the_older_names_of_weight_norm_work():
    weights = encoder_weights()
    old = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): weight
        for name, weight in to_hf(weights).items()
    }
    assert "encoder.pos_conv_embed.conv.weight_g" in old
    assert from_hf(old, weights, "here").keys() == weights.keys()


def test_a_weight_without_a_name_is_an_error():
    with pytest.raises(ValueError, match=r"weight 'encoder.layers.0.adapter.weight': found 0 names"):
        to_hf({"encoder.layers.0.adapter.weight": torch.zeros(1)})


def test_weights_left_over_and_missing_are_named():
    weights = encoder_weights()
    there = to_hf(weights) | {"lm_head.weight": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"0 missing; 1 without a place \(lm_head.weight\)"):
        from_hf(there, weights, "here")
    del there["lm_head.weight"], there["masked_spec_embed"]
    with pytest.raises(ValueError, match=r"here: .* 1 missing \(masked_spec_embed\)"):
        from_hf(there, weights, "here")
