"""A padded clip has the same features as without padding; in training only with exact_padding."""

import numpy as np
import pytest
import torch
from tiny_mert import tiny_mert

LENGTHS = (14_400, 9_001, 5_120)  # samples: 44, 27 and 15 frames of 320


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Clips with noise in their padding, which must have no effect."""
    torch.manual_seed(1)
    source = 0.1 * torch.randn(len(LENGTHS), LENGTHS[0])
    return source, torch.arange(LENGTHS[0]) >= torch.tensor(LENGTHS)[:, None]


def _model(**options):
    torch.manual_seed(0)
    return tiny_mert(dropout=0.0, encoder_layerdrop=0.0, attention_dropout=0.0, dropout_input=0.0, **options)


@pytest.mark.parametrize("asked", [{}, {"output_layer": 1}, {"ret_conv": True}])
@pytest.mark.parametrize("options", [
    {"extractor_mode": "default"},
    {"extractor_mode": "layer_norm"},
    {"extractor_mode": "default", "layer_norm_first": True, "attention_relax": 32.0},
    {"extractor_mode": "default", "wav_normalize": True, "pos_conv_depth": 2},
    {"feature_extractor_cqt": True, "layer_type": "conformer", "depthwise_conv_kernel_size": 5},
])  # fmt: skip
def test_features_of_a_padded_clip_equal_those_without_padding(options, asked):
    model = _model(**options).eval()
    source, padding_mask = _batch()
    features, padded = model.extract_features(source, padding_mask, **asked)
    assert (~padded).sum(1).tolist() == [44, 27, 15]
    for clip, length in enumerate(LENGTHS):
        alone, none = model.extract_features(source[clip : clip + 1, :length], **asked)
        assert none is None
        assert alone.size(1) == (~padded[clip]).sum()
        torch.testing.assert_close(features[clip, ~padded[clip]], alone[0], rtol=1e-5, atol=1e-5)


def test_spectral_frames_of_a_padded_clip_equal_those_without_padding_to_the_transforms_precision():
    """The CQT of a longer wave takes longer FFTs, which round differently: 1e-4, as for the CQT target."""
    model = _model(front_end="spectral").eval()
    source, padding_mask = _batch()
    features, padded = model.extract_features(source, padding_mask)
    assert (~padded).sum(1).tolist() == [44, 27, 15]
    for clip, length in enumerate(LENGTHS):
        alone, _ = model.extract_features(source[clip : clip + 1, :length])
        torch.testing.assert_close(features[clip, ~padded[clip]], alone[0], rtol=0, atol=1e-4)


def _logits(model, source, targets, padding_mask, mask, **inputs) -> torch.Tensor:
    output = model(source, target_list=targets, padding_mask=padding_mask, mask_indices=mask, **inputs)
    return torch.stack([prediction.logits for prediction in output["masked"]])


def test_padding_does_not_reach_a_spectral_model_in_training_with_exact_padding():
    source, padding_mask = _batch()
    targets = torch.randint(4, 20, (2, 3, 45))
    mask = torch.rand(3, 44) < 0.5
    mask[2, 15:] = False
    model = _model(front_end="spectral", exact_padding=True).train()
    together = _logits(model, source, targets, padding_mask, mask)
    alone = _logits(model, source[2:, : LENGTHS[2]], targets[:, 2:, :15], None, mask[2:, :15])
    torch.testing.assert_close(together[:, -alone.size(1) :], alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize("mode", ["default", "layer_norm"])
def test_padding_affects_training_as_published_unless_exact_padding_is_set(mode):
    source, padding_mask = _batch()
    source = source.masked_fill(padding_mask, 0.0)
    targets = torch.randint(4, 20, (2, 3, 45))
    mask = torch.rand(3, 44) < 0.5
    mask[2, 15:] = False
    mask[2, 14] = True  # the last frame of the third clip, next to the extra frame that HuBERT keeps
    for exact in (False, True):
        model = _model(extractor_mode=mode, exact_padding=exact).train()
        together = _logits(model, source, targets, padding_mask, mask)
        alone = _logits(model, source[2:, : LENGTHS[2]], targets[:, 2:, :15], None, mask[2:, :15])
        own = together[:, -alone.size(1) :]
        assert torch.allclose(own, alone, rtol=1e-4, atol=1e-4) == exact


def test_passing_the_lengths_does_not_change_the_output():
    model, (source, padding_mask) = _model().train(), _batch()
    targets, seeds = torch.randint(4, 20, (2, 3, 45)), np.arange(3)
    read = _logits(model, source, targets, padding_mask, None, clip_seeds=seeds)
    given = _logits(model, source, targets, padding_mask, None, clip_seeds=seeds, lengths=np.array(LENGTHS))
    assert torch.equal(read, given)


@pytest.mark.parametrize("samples", [0, 1, 399])
def test_audio_shorter_than_one_frame_is_an_error(samples):
    message = f"audio too short: found a clip of {samples} samples, expected at least 400"
    with pytest.raises(ValueError, match=message):
        _model().extract_features(torch.zeros(1, samples))
    padding_mask = torch.arange(800) >= torch.tensor([[800], [samples]])
    with pytest.raises(ValueError, match=message):
        _model().extract_features(torch.zeros(2, 800), padding_mask)
