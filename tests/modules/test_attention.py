"""MultiheadAttentionExtend against fairseq's attention, and in half precision where ordinary softmax fails."""

import pytest
import torch
from fairseq.modules import MultiheadAttention

from mert_fairseq.modules.attention import MultiheadAttentionExtend

FRAMES, CLIPS, WIDTH, HEADS = 7, 3, 16, 4


def _pair(seed: int = 0, **options):
    """Ours and fairseq's attention with the same weights, and their input."""
    torch.manual_seed(seed)
    theirs = MultiheadAttention(WIDTH, HEADS, **{k: v for k, v in options.items() if k != "attention_relax"}).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ours = MultiheadAttentionExtend(WIDTH, HEADS, **options).eval()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("relax", [-1.0, 32.0])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"self_attention": True},
        {"self_attention": True, "add_bias_kv": True},
        {"self_attention": True, "add_zero_attn": True},
        {"kdim": 12, "vdim": 20},
        {"kdim": 12, "vdim": 12, "encoder_decoder_attention": True},
    ],
)
def test_output_weights_and_gradients_equal_fairseqs(options, padded, relax):
    ours, theirs = _pair(attention_relax=relax, **options)
    query = torch.randn(FRAMES, CLIPS, WIDTH)
    key = query if options.get("self_attention") else torch.randn(5, CLIPS, ours.kdim)
    value = key if ours.vdim == ours.kdim else torch.randn(5, CLIPS, ours.vdim)
    padding = None
    if padded:
        padding = torch.zeros(CLIPS, key.size(0), dtype=torch.bool)
        padding[1, -2:] = True
    results = []
    for module in (ours, theirs):
        x = query.clone().requires_grad_()
        k, v = (x, x) if options.get("self_attention") else (key, value)
        output, weights = module(x, k, v, key_padding_mask=padding, need_weights=True)
        output.square().sum().backward()
        results.append((output, weights, x.grad, module.v_proj.weight.grad))
    for mine, reference in zip(*results, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-5)
    without_weights, none = ours(query, key, value, key_padding_mask=padding)
    assert none is None
    torch.testing.assert_close(without_weights, results[0][0], rtol=1e-4, atol=1e-5)


def test_no_bias_is_a_bias_of_zero():
    with_bias = MultiheadAttentionExtend(WIDTH, HEADS, self_attention=True)
    for name, parameter in with_bias.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
    without = MultiheadAttentionExtend(WIDTH, HEADS, self_attention=True, bias=False)
    without.load_state_dict({k: v for k, v in with_bias.state_dict().items() if not k.endswith("bias")})
    x = torch.randn(FRAMES, CLIPS, WIDTH)
    torch.testing.assert_close(without(x)[0], with_bias(x)[0])


def test_attention_mask_bars_pairs_as_in_fairseq():
    ours, theirs = _pair(self_attention=True)
    x = torch.randn(FRAMES, CLIPS, WIDTH)
    future = torch.full((FRAMES, FRAMES), float("-inf")).triu(1)
    expected, _ = theirs(x, x, x, attn_mask=future)
    torch.testing.assert_close(ours(x, attn_mask=future)[0], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours(x, attn_mask=future.isinf())[0], expected, rtol=1e-4, atol=1e-5)


def test_weights_of_each_head_sum_to_one():
    attention = MultiheadAttentionExtend(WIDTH, HEADS, self_attention=True, attention_relax=32.0)
    _, weights = attention(torch.randn(FRAMES, CLIPS, WIDTH), need_head_weights=True)
    assert weights.shape == (HEADS, CLIPS, FRAMES, FRAMES)
    torch.testing.assert_close(weights.sum(-1), torch.ones(HEADS, CLIPS, FRAMES))


def _overflowing(relax: float) -> MultiheadAttentionExtend:
    """Attention whose scores reach 32 x 300 x 300 / sqrt(32) = 509,000, eight times float16's largest number."""
    attention = MultiheadAttentionExtend(32, 1, self_attention=True, attention_relax=relax)
    for projection in (attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj):
        projection.weight.data = torch.eye(32)
    return attention.half()


def _large_half_input() -> torch.Tensor:
    torch.manual_seed(0)
    signs = torch.randint(0, 2, (6, 1, 32)) * 2.0 - 1.0
    return (300 * signs).half().requires_grad_()


def test_ordinary_softmax_overflows_in_half_precision():
    attention, x = _overflowing(relax=-1.0), _large_half_input()
    output, _ = attention(x, need_weights=True)
    assert not torch.isfinite(output).all()


@pytest.mark.parametrize("training", [True, False])
def test_relaxed_softmax_survives_half_precision_forward_and_backward(training):
    attention, x = _overflowing(relax=32.0), _large_half_input()
    output, _ = attention.train(training)(x)
    output.float().sum().backward()
    assert torch.isfinite(output).all()
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in attention.parameters())
    exact = MultiheadAttentionExtend(32, 1, self_attention=True)
    exact.load_state_dict({name: tensor.float() for name, tensor in attention.state_dict().items()})
    torch.testing.assert_close(output.float(), exact(x.float())[0], rtol=1e-2, atol=1e-2)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="encoder_attention_heads 5 does not divide the width 16"):
        MultiheadAttentionExtend(16, 5)


def test_self_attention_of_other_widths_is_refused():
    with pytest.raises(ValueError, match="found kdim 8 and vdim 16"):
        MultiheadAttentionExtend(16, 4, kdim=8, self_attention=True)
