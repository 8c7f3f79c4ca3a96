"""Audio at 8 and 16 kHz: the remedies in the errors work as written, and the CQT follows the options."""

import re

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from tiny_mert import TINY

from mert_fairseq.frames import hop_samples
from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.mert_config import MERTConfig
from mert_fairseq.teachers.features import FrameFeatures


def model_at(sample_rate, **options):
    return MERTModel(OmegaConf.merge(OmegaConf.structured(MERTConfig), TINY, options), sample_rate, [20, 20])


def options_in(message):
    return {name: int(value) for name, value in re.findall(r"\+\+model\.(\w+)=(\d+)", message)}


def cqt_loss(model, sample_rate, label_rate):
    wave = 0.1 * torch.randn(2, 2 * sample_rate)
    targets = torch.randint(4, 20, (2, 2, 2 * label_rate))
    return model(wave, target_list=list(targets))["cqt_pred_m"]


@pytest.mark.parametrize(("sample_rate", "octaves"), [(8000, 6), (16_000, 7)])
@pytest.mark.parametrize("bins_per_octave", [-1, 48])
def test_the_remedy_for_bins_above_the_nyquist_frequency_works_as_written(sample_rate, octaves, bins_per_octave):
    rate = sample_rate // 320
    options = {"label_rate": rate, "audio_cqt_bins": 48 * 8, "audio_cqt_octaves": 8}
    with pytest.raises(ValueError, match=rf"model\.audio_cqt_bins: .* at most {sample_rate // 2} Hz.*Set ") as raised:
        model_at(sample_rate, **options, audio_cqt_bins_per_octave=bins_per_octave)
    remedy = options_in(str(raised.value))
    assert remedy["audio_cqt_bins"] == 48 * octaves
    model = model_at(sample_rate, **{**options, "audio_cqt_bins_per_octave": bins_per_octave, **remedy})
    assert torch.isfinite(cqt_loss(model, sample_rate, rate))


def test_the_error_for_the_recipes_cqt_at_8_khz_recommends_six_octaves():
    with pytest.raises(ValueError, match=r"lies at 4125\.6 Hz, expected at most 4000 Hz.*cqt_octaves=6\.") as raised:
        model_at(8000, label_rate=25, audio_cqt_bins=336)
    assert options_in(str(raised.value)) == {"audio_cqt_bins": 288, "audio_cqt_octaves": 6}


def test_the_error_for_the_input_cqt_has_the_same_remedy():
    options = {"label_rate": 25, "audio_cqt_loss_m": False, "feature_extractor_cqt": True}
    with pytest.raises(ValueError, match=r"model\.feature_extractor_cqt_bins: ") as raised:
        model_at(8000, **options, feature_extractor_cqt_bins=336)
    assert model_at(8000, **{**options, **options_in(str(raised.value))}).feature_cqt.bins == 288


def test_octaves_bins_and_lowest_frequency_follow_the_options():
    options = {"audio_cqt_bins": 60, "audio_cqt_octaves": 5, "audio_cqt_fmin": 65.4}
    frequencies = model_at(24_000, **options).encoder_cqt_model.teacher.geometry.frequencies_hz
    np.testing.assert_allclose(frequencies[[0, 12, 59]], [65.4, 130.8, 65.4 * 2 ** (59 / 12)])
    options = {"audio_cqt_bins": 60, "audio_cqt_bins_per_octave": 24}
    frequencies = model_at(24_000, **options).encoder_cqt_model.teacher.geometry.frequencies_hz
    np.testing.assert_allclose(frequencies[[0, 24]], [32.7, 65.4])


def test_the_published_defaults_are_kept():
    frequencies = model_at(24_000, audio_cqt_bins=336).encoder_cqt_model.teacher.geometry.frequencies_hz
    np.testing.assert_allclose(frequencies[[0, 48, 335]], [32.7, 65.4, 32.7 * 2 ** (335 / 48)])


@pytest.mark.parametrize("options", [{"audio_cqt_octaves": 0}, {"audio_cqt_bins": 5}, {"audio_cqt_fmin": 0.0}])
def test_invalid_options_are_errors(options):
    with pytest.raises(ValueError, match=r"expected at least one bin per octave.* such as 336, 7, -1 and 32\.7"):
        model_at(24_000, **options)


@pytest.mark.parametrize(("sample_rate", "label_rate"), [(8000, 25), (16_000, 50), (24_000, 75), (44_100, 75)])
def test_the_error_for_a_label_rate_that_does_not_divide_names_one_that_does(sample_rate, label_rate):
    with pytest.raises(ValueError, match=rf"such as {label_rate} Hz at") as raised:
        hop_samples(sample_rate, 97)
    rate, at = map(int, re.search(r"such as (\d+) Hz at (\d+) Hz", str(raised.value)).groups())
    assert hop_samples(at, rate) == 320


def test_chroma_at_8_khz_uses_the_available_octaves():
    wave = torch.sin(2 * np.pi * 440 * torch.arange(8000) / 8000)
    rows = FrameFeatures("chroma", 8000, 25)(wave)
    assert rows.shape == (25, 12)
    assert (rows[5:20].argmax(1) == 9).all()  # A
