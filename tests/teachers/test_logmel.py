"""The log-mel teacher against torchaudio and by hand."""

import pytest
import torch

from mert_fairseq.teachers.logmel import LogMelTeacher, hz_to_mel, mel_filters

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("samples", "hop", "bins"), [(24_000, 320, 84), (24_001, 320, 84), (319, 320, 84), (9_999, 441, 40)]
)
def test_log_mel_equals_torchaudio(samples: int, hop: int, bins: int) -> None:
    transforms = pytest.importorskip("torchaudio.transforms")
    reference = transforms.MelSpectrogram(
        24_000, n_fft=2048, hop_length=hop, f_min=32.7, n_mels=bins, normalized=True, center=True, pad_mode="constant"
    )
    wave = 0.1 * torch.randn(3, samples, generator=torch.Generator().manual_seed(0))
    expected = (reference(wave) + 1e-5).log().transpose(1, 2)
    found = LogMelTeacher(24_000, hop, bins)(wave)
    assert found.shape == expected.shape == (3, samples // hop + 1, bins)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_htk_mel_of_1000_hz_is_1000() -> None:
    assert hz_to_mel(1000) == pytest.approx(1000, abs=0.02)


def test_silence_is_the_logarithm_of_the_floor() -> None:
    found = LogMelTeacher()(torch.zeros(1, 1000))
    torch.testing.assert_close(found, torch.full((1, 4, 84), -11.512925))


def test_too_many_bands_are_an_error_that_names_the_first_empty_band() -> None:
    with pytest.raises(ValueError, match=r"band 2 \(36.9 to 41.1 Hz\) lies between two lines of a 2048-point spectrum"):
        LogMelTeacher(bins=1000)


def test_an_empty_frequency_range_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected a range within 0 to 12000 Hz"):
        mel_filters(2048, 24_000, 40, 5000, 400, CPU)


def test_the_teacher_computes_float32_under_autocast() -> None:
    wave = 0.1 * torch.randn(2, 4000, generator=torch.Generator().manual_seed(1))
    teacher = LogMelTeacher()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = teacher(wave)
    assert found.dtype == torch.float32
    assert torch.equal(found, teacher(wave))


def test_half_precision_is_an_error_with_the_remedy() -> None:
    with pytest.raises(TypeError, match=r"log-mel: the wave is torch.float16.*wave.float\(\)"):
        LogMelTeacher()(torch.zeros(1, 1000, dtype=torch.half))
