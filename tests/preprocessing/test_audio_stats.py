"""Level, clipping and NaN, on waves whose answer is known by hand."""

import numpy as np
import pytest

from mert_fairseq.audio import AudioInfo
from mert_fairseq.preprocessing.audio_stats import AudioStats, Limits
from mert_fairseq.preprocessing.reject_reasons import Reason

RATE = 1000


def measured(wave: np.ndarray, kind: str = "WAV/PCM_16", blocks: int = 1) -> AudioStats:
    wave = np.atleast_2d(np.asarray(wave, dtype=np.float32).T).T
    stats = AudioStats(AudioInfo(RATE, len(wave), wave.shape[1], kind))
    for block in np.array_split(wave, blocks):
        stats.update(block, block.mean(axis=1))
    return stats


def reason(stats: AudioStats, **limits: float) -> Reason | None:
    verdict = stats.verdict(Limits(**limits))
    return verdict[0] if verdict else None


def swing(amplitude: float, seconds: float = 2.0) -> np.ndarray:
    return np.resize([amplitude, -amplitude], round(seconds * RATE))


@pytest.mark.parametrize(("amplitude", "expected"), [(0.00099, Reason.SILENT), (0.00101, None)])
def test_silence_ends_at_minus_60_dbfs(amplitude: float, expected: Reason | None) -> None:
    assert reason(measured(swing(amplitude))) is expected


def test_a_constant_is_silence_however_large() -> None:
    assert reason(measured(np.full(2000, 0.7))) is Reason.SILENT


def test_channels_that_cancel_are_silent_and_said_to_cancel() -> None:
    stats = measured(np.stack([swing(0.5), -swing(0.5)], axis=1))
    assert stats.verdict(Limits()) == (Reason.SILENT, "the channels cancel in the mono mix: -6.0 to -inf dBFS")


@pytest.mark.parametrize(("clipped", "expected"), [(199, None), (201, Reason.CLIPPED)])
def test_a_tenth_of_all_samples_at_full_scale_is_clipping(clipped: int, expected: Reason | None) -> None:
    wave = swing(0.5)
    wave[:clipped] = 32767 / 32768
    assert reason(measured(wave, blocks=3)) is expected


def test_one_clipped_channel_of_two_counts_half() -> None:
    stats = measured(np.stack([swing(1.0), swing(0.1)], axis=1))
    assert stats.clipped_share == 0.5


def test_eight_bit_files_clip_at_127_of_128() -> None:
    assert measured(np.full(2000, 127 / 128), "WAV/PCM_U8").clipped_share == 1
    assert measured(np.full(2000, 127 / 128), "WAV/PCM_16").clipped_share == 0


def test_a_float_file_above_full_scale_is_not_clipped() -> None:
    assert reason(measured(swing(3.0), "WAV/FLOAT")) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_place_of_nan_or_infinity_is_reported(value: float) -> None:
    wave = swing(0.5)
    wave[1500] = value
    assert measured(wave, "WAV/FLOAT", blocks=4).verdict(Limits()) == (Reason.NOT_FINITE, "first at 1.500 s")


def test_short_and_empty_files_have_different_reasons() -> None:
    assert reason(measured(swing(0.5, 0.999))) is Reason.TOO_SHORT
    assert reason(measured(swing(0.5, 0.999)), min_seconds=0.5) is None
    assert reason(AudioStats(AudioInfo(RATE, 0, 1, "WAV/PCM_16"))) is Reason.EMPTY


def test_what_is_missing_is_measured_in_seconds() -> None:
    stats = AudioStats(AudioInfo(RATE, 3000, 1, "MPEG/MPEG_LAYER_III"))
    stats.update(np.zeros((2500, 1), dtype=np.float32), np.zeros(2500, dtype=np.float32))
    assert stats.missing_seconds == 0.5
