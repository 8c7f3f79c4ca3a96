"""Frame features: number of rows, streaming, and comparison with references."""

import numpy as np
import pytest
import torch

from mert_fairseq.frames import num_label_frames
from mert_fairseq.teachers import features as features_module
from mert_fairseq.teachers.chunking import windows
from mert_fairseq.teachers.features import FrameFeatures, dct_basis, deltas

KINDS = ("logmel", "mfcc", "chroma")


def noise(samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(0))


def tone(frequency_hz: float, samples: int = 24_000) -> torch.Tensor:
    return 0.5 * torch.sin(2 * np.pi * frequency_hz * torch.arange(samples, dtype=torch.float64) / 24_000).float()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [1, 320, 321, 24_000])
def test_a_track_has_a_row_for_every_label(kind: str, samples: int) -> None:
    features = FrameFeatures(kind)
    rows = features(noise(samples))
    assert rows.shape == (num_label_frames(samples, 24_000, 75), features.dim)
    assert rows.dtype == torch.float32
    assert features.dim == {"logmel": 128, "mfcc": 39, "chroma": 12}[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [5, 24_000, 80_001])
def test_streamed_rows_equal_those_of_the_whole_wave(kind: str, samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features_module, "CORE_FRAMES", 64)
    features, wave = FrameFeatures(kind), noise(samples)
    blocks = np.split(wave.numpy(), range(0, samples, 7777))
    streamed = np.concatenate(list(features.stream(blocks)))
    np.testing.assert_allclose(streamed, features(wave).numpy(), atol=2e-4)


def test_windows_contain_every_sample_once_in_a_core_with_its_context() -> None:
    wave = np.arange(1000, dtype=np.float32)
    for block in (1, 7, 100, 1000):
        core = 0
        for window in windows(np.split(wave, range(0, 1000, block)), 100, 30, 50):
            assert window.wave[window.lead_samples] == core
            assert window.lead_samples == min(30, core)
            assert len(window.wave) == min(1000, core + 100 + 50) - core + window.lead_samples
            core += window.core_samples
        assert core == 1000


def test_a_click_is_strongest_in_the_row_of_its_hop() -> None:
    wave = torch.zeros(24_000)
    wave[40 * 320 + 160] = 1.0
    rows = FrameFeatures("logmel")(wave)
    assert rows.mean(1).argmax() == 40
    torch.testing.assert_close(rows[40 - 3], rows[40 + 3])  # centred: as strong on either side


@pytest.mark.parametrize(("note_hz", "chroma"), [(261.63, 0), (440.0, 9), (880.0, 9), (466.16, 10), (987.77, 11)])
def test_chroma_names_the_note_in_any_octave(note_hz: float, chroma: int) -> None:
    rows = FrameFeatures("chroma")(tone(note_hz))
    assert (rows[20:-20].argmax(1) == chroma).all()
    torch.testing.assert_close(rows[30].norm(), torch.tensor(1.0), atol=0.02, rtol=0)


def test_chroma_of_silence_is_zero() -> None:
    assert FrameFeatures("chroma")(torch.zeros(3200)).abs().max() == 0


def test_cepstra_equal_torchaudio_with_shifted_frames() -> None:
    transforms = pytest.importorskip("torchaudio.transforms")
    functional = pytest.importorskip("torchaudio.functional")
    wave = noise(24_000)
    mel = transforms.MelSpectrogram(
        24_000, n_fft=2048, hop_length=320, f_min=32.7, n_mels=40, normalized=True, pad_mode="constant"
    )
    # frame 1 of a wave with half a hop of silence in front is centred on the first hop's middle
    expected = (mel(torch.nn.functional.pad(wave, (160, 0)))[:, 1:76] + 1e-5).log()
    expected = functional.create_dct(13, 40, norm="ortho").T @ expected
    found = FrameFeatures("mfcc")(wave)
    torch.testing.assert_close(found[:, :13], expected.T, atol=1e-3, rtol=1e-4)
    first = functional.compute_deltas(expected, win_length=5)
    torch.testing.assert_close(found[:, 13:26], first.T, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(found[:, 26:], functional.compute_deltas(first, 5).T, atol=1e-3, rtol=1e-4)


def test_the_delta_of_a_ramp_is_its_slope() -> None:
    ramp = 3.0 * torch.arange(9.0)[:, None]
    assert deltas(ramp)[2:-2].flatten().tolist() == [3.0] * 5


def test_the_dct_basis_is_orthonormal() -> None:
    basis = dct_basis(40, 40)
    torch.testing.assert_close(basis.T @ basis, torch.eye(40), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "plp"}, "found kind 'plp', expected one of logmel, mfcc, chroma"),
        ({"kind": "chroma", "width": 7}, "found chroma of width 7, expected 12 or another divisor of 36"),
        ({"kind": "mfcc", "width": 41}, "found 41 cepstra, expected 1 to 40"),
        ({"label_rate_hz": 70}, "label_rate 70 Hz does not divide sample_rate 24000 Hz"),
        ({"width": 2000}, "lies between two lines"),
    ],
)
def test_settings_that_do_not_fit_are_an_error(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrameFeatures(**settings)


def test_features_are_made_again_from_their_settings() -> None:
    features = FrameFeatures("mfcc", 16_000, 50)
    assert features.settings == {"kind": "mfcc", "sample_rate": 16_000, "label_rate_hz": 50, "width": 13}
    assert FrameFeatures(**features.settings) == features
