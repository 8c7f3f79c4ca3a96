"""TransformerEncoderExtend: equality with fairseq's wav2vec 2.0 encoder, and its additions."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from fairseq.models.wav2vec.wav2vec2 import TransformerEncoder, Wav2Vec2Config

from mert_fairseq.modules.attention import MultiheadAttentionExtend
from mert_fairseq.modules.encoder import TransformerEncoderExtend
from mert_fairseq.modules.layers import LayerSpec, layer_specs

SPEC = LayerSpec(embed_dim=16, ffn_dim=24, heads=4, dropout=0.0, attention_dropout=0.0, conv_kernel=5)
POSITIONS = {"conv_pos": 8, "conv_pos_groups": 4}


def _encoder(spec: LayerSpec = SPEC, layers: int = 3, overrides: dict | None = None, **options):
    torch.manual_seed(0)
    return TransformerEncoderExtend(layer_specs(spec, layers, overrides), **POSITIONS, **options)


def _fairseq_encoder(layer_type: str, norm_first: bool, depth: int) -> TransformerEncoder:
    config = Wav2Vec2Config(
        encoder_layers=3,
        encoder_embed_dim=16,
        encoder_ffn_embed_dim=24,
        encoder_attention_heads=4,
        layer_norm_first=norm_first,
        layer_type=layer_type,
        depthwise_conv_kernel_size=5,
        dropout=0.0,
        attention_dropout=0.0,
        conv_pos=8,
        conv_pos_groups=4,
        pos_conv_depth=depth,
        encoder_layerdrop=0.0,
    )
    config.fp16 = False
    return TransformerEncoder(config)


@pytest.mark.parametrize("frames", [10, 11])
@pytest.mark.parametrize(("layer_type", "norm", "depth"), [
    ("transformer", "post", 1), ("transformer", "pre", 1), ("transformer", "post", 2), ("conformer", "post", 1),
])  # fmt: skip
def test_outputs_equal_fairseqs_with_the_same_weights(layer_type, norm, depth, frames):
    theirs = _fairseq_encoder(layer_type, norm == "pre", depth).eval()
    ours = _encoder(replace(SPEC, type=layer_type, norm=norm), pos_conv_depth=depth).eval()
    if layer_type == "conformer":
        # fairseq pads odd lengths by one frame, which its convolution sees; ours does so in padded batches only.
        theirs.required_seq_len_multiple = ours.required_seq_len_multiple = 1
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, frames, 16)
    padding = torch.zeros(2, frames, dtype=torch.bool)
    padding[1, 6:] = True
    for mask in (None, padding):
        real = torch.ones_like(padding) if mask is None else ~mask
        expected, _ = theirs(x.clone(), padding_mask=mask)
        output, results = ours(x, padding_mask=mask)
        torch.testing.assert_close(output[real], expected[real], rtol=1e-4, atol=1e-5)
        expected_first, _ = theirs(x.clone(), padding_mask=mask, layer=0)
        torch.testing.assert_close(results[0].output[real], expected_first[real], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours(x, padding_mask=mask, layer=0)[0], results[0].output)


def test_initial_weights_have_fairseqs_distribution():
    torch.manual_seed(1)
    theirs = {k: v.std().item() for k, v in _fairseq_encoder("transformer", False, 1).named_parameters() if v.dim() > 1}
    ours = dict(_encoder().named_parameters())
    assert set(theirs) <= set(ours)
    for name, deviation in theirs.items():
        assert ours[name].std().item() == pytest.approx(deviation, rel=0.25), name


def test_need_weights_returns_the_attention_weights_of_each_head():
    encoder = _encoder()
    x = torch.randn(2, 9, 16)
    _, results = encoder(x)
    assert [r.attention for r in results] == [None] * 3
    _, results = encoder(x, need_weights=True)
    for result in results:
        assert result.attention.shape == (2, 4, 9, 9)
        torch.testing.assert_close(result.attention.sum(-1), torch.ones(2, 4, 9))


def test_deepnorm_scales_residuals_and_initial_weights():
    plain, deep = _encoder(), _encoder(replace(SPEC, norm="deepnorm"))
    beta, alpha = (8 * 3) ** -0.25, (2 * 3) ** 0.25
    for name, weight in plain.named_parameters():
        scaled = any(part in name for part in ("fc1.weight", "fc2.weight", "out_proj.weight", "v_proj.weight"))
        torch.testing.assert_close(dict(deep.named_parameters())[name], weight * (beta if scaled else 1.0))
    layer = deep.layers[0].eval()
    x = torch.randn(5, 2, 16)
    attended = layer.self_attn_layer_norm(alpha * x + layer.self_attn(x)[0])
    expected = layer.final_layer_norm(alpha * attended + layer.fc2(torch.nn.functional.gelu(layer.fc1(attended))))
    torch.testing.assert_close(layer(x)[0], expected, rtol=1e-4, atol=1e-5)


def test_subln_adds_a_norm_before_each_output_projection_and_its_initial_gain():
    plain, sub = _encoder(replace(SPEC, norm="pre")), _encoder(replace(SPEC, norm="subln"))
    gain = math.sqrt(math.log(2 * 3))
    torch.testing.assert_close(sub.layers[1].fc1.weight, plain.layers[1].fc1.weight * gain)
    layer = sub.layers[0].eval()
    torch.nn.init.normal_(layer.inner_norm.weight)
    x = torch.randn(5, 2, 16)
    attended = x + layer.self_attn(layer.self_attn_layer_norm(x))[0]
    hidden = layer.inner_norm(torch.nn.functional.gelu(layer.fc1(layer.final_layer_norm(attended))))
    torch.testing.assert_close(layer(x)[0], attended + layer.fc2(hidden), rtol=1e-4, atol=1e-5)
    assert isinstance(layer.self_attn.inner_norm, torch.nn.LayerNorm)


@pytest.mark.parametrize(("layer_type", "norm"), [
    ("transformer", "post"), ("transformer", "pre"), ("transformer", "deepnorm"), ("transformer", "subln"),
    ("conformer", "post"), ("conformer", "pre"),
])  # fmt: skip
def test_relaxation_reaches_every_layer_and_changes_no_value(layer_type, norm):
    spec = replace(SPEC, norm=norm, type=layer_type)
    plain, relaxed = _encoder(spec).eval(), _encoder(replace(spec, attention_relax=32.0)).eval()
    relaxed.load_state_dict(plain.state_dict())
    attentions = [module for module in relaxed.modules() if isinstance(module, MultiheadAttentionExtend)]
    assert [module.attention_relax for module in attentions] == [32.0] * 3
    x = torch.randn(2, 8, 16)
    expected = plain.train()(x)[0]
    for need_weights in (False, True):
        output = relaxed.train()(x, need_weights=need_weights)[0]
        torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)


def test_layers_may_differ_in_type_width_heads_dropout_and_relaxation():
    overrides = {
        "type": ["transformer", "conformer", "transformer"],
        "ffn_dim": [24, 32, 40],
        "heads": [2, 4, 8],
        "dropout": [0.0, 0.1, 0.2],
        "attention_relax": [-1.0, 32.0, 16.0],
    }
    encoder = _encoder(overrides=overrides)
    assert [type(layer).__name__ for layer in encoder.layers] == [
        "TransformerLayer",
        "ConformerLayer",
        "TransformerLayer",
    ]
    assert [layer.self_attn.num_heads for layer in encoder.layers] == [2, 4, 8]
    assert [layer.self_attn.attention_relax for layer in encoder.layers] == [-1.0, 32.0, 16.0]
    assert encoder.layers[0].fc1.out_features == 24
    assert encoder.layers[2].fc1.out_features == 40
    assert (encoder.layers[0].dropout, encoder.layers[2].dropout) == (0.0, 0.2)
    output, results = encoder(torch.randn(2, 8, 16))
    assert output.shape == (2, 8, 16)
    assert len(results) == 3


@pytest.mark.parametrize(("overrides", "message"), [
    ({"heads": [4, 4]}, "heads of the layers: 2 values for 3 layers"),
    ({"heads": [4, 4, 5]}, "encoder_attention_heads 5 does not divide the width 16"),
    ({"type": ["transformer", "mamba", "transformer"]}, "type is 'mamba'"),
    ({"colour": ["red"] * 3}, "encoder layers have no option 'colour'"),
    ({"norm": ["pre", "post", "pre"]}, "the same position of their norms"),
])  # fmt: skip
def test_invalid_overrides_are_errors(overrides, message):
    with pytest.raises(ValueError, match=message):
        _encoder(overrides=overrides)


def test_espnet_attention_with_relaxation_is_an_error():
    with pytest.raises(ValueError, match="attn_type espnet has no relaxed softmax"):
        replace(SPEC, conformer_attention="espnet", attention_relax=32.0)


@pytest.mark.parametrize("layer_type", ["transformer", "conformer"])
def test_checkpointed_activations_give_the_same_gradients_with_dropout_on(layer_type):
    spec = replace(SPEC, type=layer_type, dropout=0.2, attention_dropout=0.2, attention_relax=32.0)
    x = torch.randn(2, 8, 16)
    gradients = []
    for checkpointed in (False, True):
        encoder = _encoder(spec, checkpoint_activations=checkpointed).train()
        torch.manual_seed(5)
        encoder(x.clone().requires_grad_())[0].square().sum().backward()
        gradients.append({name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


def test_layer_drop_skips_its_share_in_training_and_repeats_with_torchs_seed():
    encoder = _encoder(layers=4, layerdrop=0.5)
    x = torch.randn(1, 4, 16)
    kept = []
    for _ in range(2):
        torch.manual_seed(3)
        np.random.seed()
        kept.append([len(encoder.train()(x)[1]) for _ in range(100)])
    assert kept[0] == kept[1]
    assert 1.6 < np.mean(kept[0]) < 2.4
    assert len(encoder.eval()(x)[1]) == 4


@pytest.mark.parametrize("options", [
    {}, {"pos_conv_depth": 2}, {"conv_pos_batch_norm": True}, {"spec": replace(SPEC, type="conformer")},
    {"spec": replace(SPEC, type="conformer", conformer_attention="espnet")},
])  # fmt: skip
@pytest.mark.parametrize("frames", [11, 12])
def test_padding_does_not_change_the_real_frames(options, frames):
    encoder = _encoder(**options).eval()
    for name, buffer in encoder.named_buffers():  # so that batch norms do not map zero to zero
        if "running_mean" in name:
            torch.nn.init.normal_(buffer)
    x = torch.randn(1, frames, 16)
    longer = torch.cat([x, torch.randn(1, 7, 16)], dim=1)
    padding = torch.arange(frames + 7)[None] >= frames
    output, _ = encoder(longer, padding_mask=padding, exact_padding=True)
    torch.testing.assert_close(output[:, :frames], encoder(x)[0], rtol=1e-5, atol=1e-5)


def test_an_odd_number_of_frames_needs_no_mask(monkeypatch):
    masks = []
    attend = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda q, k, v, mask, dropout: masks.append(mask) or attend(q, k, v, mask, dropout),
    )
    assert _encoder()(torch.randn(2, 11, 16))[0].shape == (2, 11, 16)
    assert masks == [None] * 3


def test_activations_keep_the_precision():
    layer = _encoder().layers[0].half()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        layer(torch.randn(2, 8, 16).half())
    assert all(t.numel() <= 2 * 4 * 8 for t in saved if t.dtype == torch.float32)  # the sums of the softmax: B x H x F
