"""``load_mert``: features of files and waves."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from hubert_twin import noise
from music_files import make_music
from tiny_mert import save_tiny_mert

from mert_fairseq import load_mert
from mert_fairseq.audio import AudioError, read_span, resample_blocks
from mert_fairseq.extraction import extract_layers


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "mert.pt"
    save_tiny_mert(path)
    return load_mert(path, "cpu")


def test_shapes_follow_from_the_requested_layers(model):
    wave = noise(24_000)[0]
    assert model.features(wave).shape == (4, 74, 16) == (model.num_layers, 74, model.width)
    assert model.features(wave, layer=2).shape == (74, 16)
    assert model.features(wave, layer=[0, 3]).shape == (2, 74, 16)
    assert (model.sample_rate, model.frame_rate_hz, len(model.digest)) == (24_000, 75.0, 64)


def test_a_wave_of_any_kind_gives_the_encoders_states(model):
    wave = noise(8_000)
    expected = model.encoder.layers(wave)[0]
    for kind in (wave[0], wave[0].numpy(), wave[0].double()):
        torch.testing.assert_close(model.features(kind), expected)
    pcm = (wave[0] * 32768).round().to(torch.int16)
    torch.testing.assert_close(model.features(pcm), model.features(pcm.float() / 32768))


@pytest.mark.parametrize(("name", "rate"), [("a.wav", 24_000), ("a.flac", 44_100), ("a.mp3", 48_000)])
def test_a_file_gives_the_features_of_its_resampled_mono_wave(name, rate, model, tmp_path):
    path = make_music(tmp_path / name, rate=rate, channels=2)
    whole = read_span(path, dtype="float32")
    wave = np.concatenate(list(resample_blocks([whole], rate, 24_000)))
    torch.testing.assert_close(model.features(path), model.features(wave), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model.features(str(path), layer=1), model.features(whole, 1, sample_rate=rate))


def test_long_audio_is_cut_into_windows_whose_middles_are_kept(model):
    wave = noise(60_123)[0]
    features = extract_layers(model.encoder, wave, [1, 3], window_seconds=1.0, context_seconds=0.2)
    assert features.shape == (2, 187, 16)
    samples = 74 * 320 + 400  # 75 frames, of which 15 at either side are context
    second = model.encoder.layers(wave[None, 45 * 320 : 45 * 320 + samples], [1, 3])[0]
    torch.testing.assert_close(features[:, 60:105], second[:, 15:60])
    last = model.encoder.layers(wave[None, 112 * 320 : 112 * 320 + samples], [1, 3])[0]
    torch.testing.assert_close(features[:, 150:], last[:, 38:])
    for batch_size in (2, 5):
        again = extract_layers(model.encoder, wave, [1, 3], 1.0, 0.2, batch_size)
        torch.testing.assert_close(again, features, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("wave", "error", "message"),
    [
        (np.zeros((2, 800)), ValueError, r"the wave has shape \(2, 800\), expected \(samples,\)"),
        (np.zeros(800, np.int64), TypeError, "the wave is int64, expected float in"),
        (np.full(800, np.nan), ValueError, "the wave holds NaN or infinity"),
        (np.zeros(399), ValueError, "the audio is shorter than 400 samples at 24000 Hz"),
        (np.zeros(0), ValueError, "the audio is shorter than 400 samples at 24000 Hz"),
    ],
)
def test_waves_that_have_no_features_are_refused(wave, error, message, model):
    with pytest.raises(error, match=message):
        model.features(wave)


def test_files_that_cannot_be_read_are_audio_errors(model, tmp_path):
    soundfile.write(tmp_path / "nan.wav", np.full(800, np.nan), 24_000, subtype="FLOAT")
    (tmp_path / "empty.wav").touch()
    for name, message in (
        ("none.wav", "no such file"),
        ("nan.wav", "NaN or infinity at sample 0"),
        ("empty.wav", "0 b"),
    ):
        with pytest.raises(AudioError, match=f"{name}: (\\w+: )?{message}"):
            model.features(tmp_path / name)


def test_an_unknown_layer_is_refused(model):
    with pytest.raises(ValueError, match="found layer -1, expected 0 to 3"):
        model.features(noise(800)[0], layer=-1)


def test_importing_the_package_imports_neither_torch_nor_fairseq():
    code = "import mert_fairseq, sys; print({'torch', 'fairseq', 'transformers'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_loading_shows_no_warnings_about_the_code_of_libraries(tmp_path):
    save_tiny_mert(tmp_path / "mert.pt")
    script = f"from mert_fairseq import load_mert; load_mert({str(tmp_path / 'mert.pt')!r}, 'cpu')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
