"""MultiheadAttentionExtend: equality with fairseq's attention, and half precision where ordinary softmax fails."""

import pytest
import torch
from fairseq.modules import MultiheadAttention
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mert_fairseq.modules.attention import MultiheadAttentionExtend

FRAMES, CLIPS, WIDTH, HEADS = 7, 3, 16, 4


def _pair(seed: int = 0, **options):
    """Our attention and fairseq's, with the same weights."""
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


def test_no_bias_equals_a_bias_of_zero():
    with_bias = MultiheadAttentionExtend(WIDTH, HEADS, self_attention=True)
    for name, parameter in with_bias.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
    without = MultiheadAttentionExtend(WIDTH, HEADS, self_attention=True, bias=False)
    without.load_state_dict({k: v for k, v in with_bias.state_dict().items() if not k.endswith("bias")})
    x = torch.randn(FRAMES, CLIPS, WIDTH)
    torch.testing.assert_close(without(x)[0], with_bias(x)[0])


def test_attention_masks_equal_fairseqs():
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


def test_batch_first_only_swaps_two_axes():
    frames_first = MultiheadAttentionExtend(WIDTH, HEADS, self_attention=True, add_bias_kv=True)
    batch_first = MultiheadAttentionExtend(WIDTH, HEADS, self_attention=True, add_bias_kv=True, batch_first=True)
    batch_first.load_state_dict(frames_first.state_dict())
    x, padding = torch.randn(FRAMES, CLIPS, WIDTH), torch.arange(FRAMES) >= torch.tensor([[7], [5], [3]])
    expected, weights = frames_first(x, key_padding_mask=padding, need_weights=True)
    found, same = batch_first(x.transpose(0, 1), key_padding_mask=padding, need_weights=True)
    torch.testing.assert_close(found.transpose(0, 1), expected)
    torch.testing.assert_close(same, weights)


@pytest.mark.parametrize("relax", [-1.0, 32.0])
@pytest.mark.parametrize("padded", [False, True])
def test_memory_does_not_grow_with_the_square_of_the_length(relax, padded):
    attention = MultiheadAttentionExtend(WIDTH, HEADS, self_attention=True, attention_relax=relax)
    frames, sizes = 3_000, []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            found = func(*args, **(kwargs or {}))
            sizes.extend(tensor.numel() for tensor in tree_leaves(found) if isinstance(tensor, torch.Tensor))
            return found

    padding = torch.arange(frames)[None] >= frames - 10 if padded else None
    with Sizes():
        attention(torch.randn(frames, 1, WIDTH), key_padding_mask=padding)[0].sum().backward()
    assert max(sizes) <= HEADS * frames * WIDTH


def _overflowing(relax: float) -> MultiheadAttentionExtend:
    """Attention with scores up to 32 x 300 x 300 / sqrt(32) = 509,000, eight times the maximum of float16."""
    attention = MultiheadAttentionExtend(32, 1, self_attention=True, attention_relax=relax)
    for projection in (attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj):
        projection.weight.data = torch.eye(32)
    return attention


def _large_input(frames: int) -> torch.Tensor:
    """Frames in pairs that differ in one sign, so that each attends to two: a softmax that is not one-hot."""
    torch.manual_seed(0)
    signs = torch.randint(0, 2, (frames, 1, 32)) * 2.0 - 1.0
    return 300 * signs


def _with_gradients(attention: MultiheadAttentionExtend, x: torch.Tensor, weights: torch.Tensor, **options) -> dict:
    x = x.clone().requires_grad_()
    output, _ = attention(x, **options)
    (output.float() * weights).sum().backward()
    return {"output": output.detach(), "input": x.grad} | {name: p.grad for name, p in attention.named_parameters()}


def test_explicit_ordinary_softmax_overflows_in_half_precision():
    output, _ = _overflowing(relax=-1.0).half()(_large_input(6).half(), need_weights=True)
    assert not torch.isfinite(output).all()


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16])
@pytest.mark.parametrize(("relax", "need_weights"), [(32.0, True), (32.0, False), (-1.0, False)])
@pytest.mark.parametrize("dropout", [0.0, 1e-9], ids=["fused", "unfused"])  # with dropout CPUs use the unfused kernel
def test_half_precision_forward_and_backward_work_at_scores_of_half_a_million(dtype, relax, need_weights, dropout):
    x, weights = _large_input(48), 1e-3 * torch.randn(48, 1, 32)
    expected = _with_gradients(_overflowing(relax=32.0), x, weights, need_weights=True)
    attention = _overflowing(relax).to(dtype)
    attention.dropout = dropout
    found = _with_gradients(attention, x.to(dtype), weights, need_weights=need_weights)
    output, expected_output = found.pop("output").float(), expected.pop("output")
    torch.testing.assert_close(output, expected_output, rtol=2 * torch.finfo(dtype).eps, atol=0)
    # Fused kernels recompute the weights from float32 scores near 509,000, which resolve 1/32: hence the tolerance.
    for name, value in expected.items():
        largest = float(expected["v_proj.weight"].abs().max()) if name.endswith("weight") else float(value.abs().max())
        torch.testing.assert_close(found[name].float(), value, rtol=0, atol=max(0.12 * largest, 3e-4), msg=name)


def test_heads_that_do_not_divide_the_width_are_an_error():
    with pytest.raises(ValueError, match="encoder_attention_heads 5 does not divide the width 16"):
        MultiheadAttentionExtend(16, 5)


def test_self_attention_with_other_widths_is_an_error():
    with pytest.raises(ValueError, match="found kdim 8 and vdim 16"):
        MultiheadAttentionExtend(16, 4, kdim=8, self_attention=True)
