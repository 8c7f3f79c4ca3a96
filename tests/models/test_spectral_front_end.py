"""The spectral front end: as many frames as the conv stack, pitch where it belongs, and a stated reach."""

import numpy as np
import pytest
import torch
from tiny_mert import tiny_mert

from mert_fairseq.frames import WAV2VEC2_LAYERS, num_conv_frames, parse_conv_layers
from mert_fairseq.models.spectral_front_end import CQT_GAIN, SpectralFrontEnd
from mert_fairseq.teachers.cqt import CQTTeacher
from mert_fairseq.teachers.logmel import LogMelTeacher

LAYERS = parse_conv_layers(WAV2VEC2_LAYERS)
HOP = 320


def front_end(longest_samples: int | None = 2400) -> SpectralFrontEnd:
    return SpectralFrontEnd(
        LAYERS, CQTTeacher(bins=168, bins_per_octave=24, longest_samples=longest_samples), LogMelTeacher(bins=64)
    )


@pytest.mark.parametrize("samples", [400, 719, 720, 24_000, 24_001, 120_000])
def test_it_has_as_many_frames_as_the_conv_stack(samples):
    assert front_end()(torch.zeros(1, samples)).shape == (1, 168 + 64, num_conv_frames(samples, LAYERS))


def test_a_tone_is_in_the_bin_of_its_pitch():
    wave = 0.5 * torch.sin(2 * np.pi * 440 * torch.arange(24_000) / 24_000)
    frames = front_end()(wave[None])[0]
    assert int(frames[:168, 40].argmax()) == round(24 * np.log2(440 / 32.7))  # bin 90


def test_the_cqt_is_compressed_logarithmically():
    wave = torch.sin(2 * np.pi * 440 * torch.arange(24_000) / 24_000)[None]
    magnitude = CQTTeacher(bins=168, bins_per_octave=24, longest_samples=2400)(wave)[0, 40, 90]
    found = front_end()(wave)[0, 90, 40]
    assert found == pytest.approx(float(torch.log1p(CQT_GAIN * magnitude)), abs=1e-5)


@pytest.mark.parametrize(("longest_samples", "reach"), [(2400, 1200), (1200, 1024), (None, 12_524)])
def test_a_frame_does_not_depend_on_samples_beyond_its_reach(longest_samples, reach):
    front, at = front_end(longest_samples), 60  # frame 60 is centred on sample 19,200
    assert front.reach_samples == reach
    torch.manual_seed(0)
    wave = 0.1 * torch.randn(1, 48_000)
    changed = wave.clone()
    changed[:, : at * HOP - reach] = 0.9 * torch.rand(1, at * HOP - reach)
    changed[:, at * HOP + reach + 1 :] = 0
    same = (front(changed) - front(wave))[0, :, at].abs().max()
    assert same < 0.02  # the transform's own tolerance: 1e-4 of the peak of a much louder wave, on a log scale
    changed[:, at * HOP : at * HOP + 100] = 0
    assert (front(changed) - front(wave))[0, :, at].abs().max() > 0.1


def test_it_has_no_parameters_and_no_gradients():
    front = front_end()
    assert not list(front.state_dict())
    assert not front(torch.zeros(1, 4000, requires_grad=True)).requires_grad


def test_half_precision_waves_are_transformed_in_float32():
    wave = (0.1 * torch.randn(1, 4000)).half()
    assert torch.equal(front_end()(wave), front_end()(wave.float()))


def test_a_clip_shorter_than_a_frame_is_an_error():
    with pytest.raises(ValueError, match="audio too short: found a clip of 399 samples, expected at least 400"):
        front_end()(torch.zeros(1, 399))


def test_the_model_learns_from_it_and_its_penalty_is_zero():
    model = tiny_mert(front_end="spectral").train()
    output = model(0.1 * torch.randn(2, 9_000), target_list=torch.randint(4, 20, (2, 2, 28)))
    assert output["features_pen"] == 0
    sum(prediction.logits.square().mean() for prediction in output["masked"]).backward()
    assert model.post_extract_proj.weight.grad.abs().sum() > 0
    assert model.post_extract_proj.in_features == 168 + 64
