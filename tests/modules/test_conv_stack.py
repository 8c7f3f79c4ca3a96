"""The conv stack: equality with fairseq's, half precision, and padding."""

import numpy as np
import pytest
import torch
from fairseq.models.wav2vec.wav2vec2 import ConvFeatureExtractionModel

from mert_fairseq.frames import parse_conv_layers
from mert_fairseq.modules.conv_stack import ConvStack

LAYERS = parse_conv_layers("[(8,10,5)] + [(8,3,2)] * 4 + [(8,2,2)] * 2")


def _stack(mode: str, seed: int = 0, **options) -> ConvStack:
    torch.manual_seed(seed)
    return ConvStack(LAYERS, mode, **options)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("mode", ["default", "layer_norm"])
def test_names_initial_weights_and_outputs_are_fairseqs(mode, bias):
    torch.manual_seed(0)
    theirs = ConvFeatureExtractionModel([tuple(layer) for layer in LAYERS], mode=mode, conv_bias=bias)
    ours = _stack(mode, bias=bias)
    for (name, value), (their_name, their_value) in zip(
        ours.state_dict().items(), theirs.state_dict().items(), strict=True
    ):
        assert name == their_name
        assert torch.equal(value, their_value), name
    wave = torch.randn(2, 2_000)
    torch.testing.assert_close(ours(wave), theirs(wave), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["default", "layer_norm"])
def test_padded_clips_have_the_same_frames_as_without_padding(mode):
    stack = _stack(mode)
    lengths = np.array([2_000, 1_203, 400])
    wave = torch.randn(3, 2_000)
    together = stack.without_padding(wave, lengths)
    for clip, length in enumerate(lengths):
        alone = stack(wave[clip : clip + 1, :length])
        torch.testing.assert_close(together[clip : clip + 1, :, : alone.size(2)], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16])
@pytest.mark.parametrize("mode", ["default", "layer_norm"])
def test_half_precision_saves_no_float32_copy_and_stays_close(mode, dtype):
    stack, wave = _stack(mode), 0.1 * torch.randn(2, 4_000)
    expected = stack(wave)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        found = stack.to(dtype)(wave.to(dtype))
    assert all(tensor.dtype == dtype for tensor in saved if tensor.numel() > 2 * 8 * 800)
    tolerance = 40 * torch.finfo(dtype).eps
    torch.testing.assert_close(found.float(), expected, rtol=tolerance, atol=tolerance * float(expected.std()))


@pytest.mark.parametrize("mode", ["default", "layer_norm"])
def test_the_error_for_a_clip_shorter_than_one_frame_names_the_samples_needed(mode):
    message = "audio too short: found a clip of 399 samples, expected at least 400"
    with pytest.raises(ValueError, match=message):
        _stack(mode)(torch.zeros(2, 399))
    with pytest.raises(ValueError, match=message):
        _stack(mode).without_padding(torch.zeros(2, 800), np.array([800, 399]))


def test_an_unknown_mode_is_an_error():
    with pytest.raises(ValueError, match="extractor_mode is 'batch_norm', expected one of"):
        _stack("batch_norm")
