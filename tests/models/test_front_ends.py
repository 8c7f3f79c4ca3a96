"""The option front_end: what each value builds, what contradicts, and how far masked sound reaches."""

import pytest
import torch
from omegaconf import OmegaConf
from tiny_mert import TINY, tiny_mert

from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.mert_config import MERTConfig

HOP = 320


def channels(**options) -> int:
    """Width of what is projected: 8 channels of the tiny conv stack, bins of a CQT, log-mel bands."""
    return tiny_mert(**options).layer_norm.normalized_shape[0]


def test_each_front_end_has_its_channels():
    assert channels() == channels(front_end="wave") == 8
    assert channels(front_end="spectral") == 168 + 64
    assert channels(front_end="spectral", front_end_cqt_bins=84, front_end_mel_bins=40) == 84 + 40
    assert channels(front_end="both", feature_extractor_cqt_bins=84) == 8 + 84


def test_both_is_the_published_feature_extractor_cqt():
    torch.manual_seed(0)
    both = tiny_mert(front_end="both").eval()
    torch.manual_seed(0)
    published = tiny_mert(feature_extractor_cqt=True).eval()
    wave = 0.1 * torch.randn(1, 9_000)
    assert torch.equal(both.extract_features(wave)[0], published.extract_features(wave)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"front_end": "cqt"}, r"model\.front_end is 'cqt', expected one of wave, spectral, both"),
        (
            {"front_end": "spectral", "feature_extractor_cqt": True},
            r"front_end: spectral has no conv stack\. Set front_end: both, or feature_extractor_cqt: false",
        ),
        ({"front_end": "spectral", "front_end_window": 0.01}, r"front_end_window is 0\.01 s, expected at least two"),
        (
            {"front_end": "spectral", "front_end_mel_bins": 400},
            r"front_end_mel_bins 400 and model\.front_end_window 0\.1 do not fit: mel: band",
        ),
    ],
)
def test_what_contradicts_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        tiny_mert(**options)


@pytest.mark.parametrize(
    ("sample_rate", "octaves", "reach"), [(8000, 6, 400), (16_000, 7, 800), (24_000, 7, 1200), (48_000, 8, 2400)]
)
def test_the_window_is_a_tenth_of_a_second_at_each_sample_rate(sample_rate, octaves, reach):
    options = {"label_rate": sample_rate / HOP, "front_end": "spectral", "audio_cqt_octaves": octaves}
    bins = {"front_end_cqt_bins": 24 * octaves, "audio_cqt_bins": 12 * octaves}
    cfg = OmegaConf.merge(OmegaConf.structured(MERTConfig), TINY, options, bins)
    model = MERTModel(cfg, sample_rate, [20, 20]).eval()
    assert model.feature_extractor.reach_samples == reach
    assert model.extract_features(0.1 * torch.randn(1, sample_rate))[0].isfinite().all()


def test_the_error_for_too_many_octaves_names_options_that_fit():
    options = {"label_rate": 25, "front_end": "spectral", "audio_cqt_loss_m": False}
    cfg = OmegaConf.merge(OmegaConf.structured(MERTConfig), TINY, options)
    with pytest.raises(ValueError, match=r"model\.front_end_cqt_bins: .*\+\+model\.front_end_cqt_bins=144 .*octaves=6"):
        MERTModel(cfg, 8000, [20, 20])


def encoder_input(model, wave, masked):
    """What enters the Transformer, (F, D)."""
    entered = []
    hook = model.encoder.register_forward_pre_hook(lambda module, args: entered.append(args[0]))
    targets = torch.zeros(2, 1, masked.size(1), dtype=torch.long) + 4
    with torch.no_grad():
        model(wave, target_list=targets, mask_indices=masked)
    hook.remove()
    return entered[0][0]


def test_sound_under_a_mask_reaches_the_encoder_only_within_the_windows_of_visible_frames():
    """Frames 40 to 59 are masked. Visible ones see up to sample 39 x 320 + 1200 and from 60 x 320 - 1200."""
    torch.manual_seed(0)
    model = tiny_mert(front_end="spectral").eval()
    masked = torch.zeros(1, 99, dtype=torch.bool)
    masked[0, 40:60] = True
    wave = 0.1 * torch.randn(1, 99 * HOP + 80)
    hidden, shown = wave.clone(), wave.clone()
    hidden[0, 39 * HOP + 1201 : 60 * HOP - 1200] = 0
    shown[0, 39 * HOP + 700 : 39 * HOP + 1100] = 0
    expected = encoder_input(model, wave, masked)
    assert (encoder_input(model, hidden, masked) - expected).abs().max() < 1e-3
    assert (encoder_input(model, shown, masked) - expected).abs().max() > 1e-2


def test_the_front_end_hears_the_mixed_wave():
    model = tiny_mert(front_end="spectral", mixture_prob=1.0, encoder_layerdrop=0.0, dropout=0.0).train()
    wave, heard = 0.1 * torch.randn(2, 30_000), []
    model.feature_extractor.register_forward_pre_hook(lambda module, args: heard.append(args[0]))
    model(wave, target_list=torch.randint(4, 20, (2, 2, 94)))
    assert (heard[0] - wave).abs().max() > 0.05


def test_spectra_stay_float32_in_half_precision():
    model = tiny_mert(front_end="spectral").bfloat16().eval()
    entered = []
    model.feature_extractor.register_forward_hook(lambda module, args, output: entered.append((args[0], output)))
    assert model.extract_features(0.1 * torch.randn(1, 9_000))[0].dtype == torch.bfloat16
    wave, frames = entered[0]
    assert wave.dtype == frames.dtype == torch.float32
