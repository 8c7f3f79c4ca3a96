"""Decoding in blocks keeps channels apart, and notices a file that ends early."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mert_fairseq import audio


def test_blocks_joined_are_the_file_channel_by_channel(tmp_path: Path) -> None:
    wave = np.random.default_rng(0).integers(-3000, 3000, (1000, 2), dtype=np.int16)
    soundfile.write(tmp_path / "a.flac", wave, 24_000)
    blocks = list(audio.stream_channels(tmp_path / "a.flac", block_samples=300))
    assert [len(block) for block in blocks] == [300, 300, 300, 100]
    np.testing.assert_array_equal(np.concatenate(blocks), wave / np.float32(32768))


def test_the_mono_stream_is_the_mean_of_the_channels(tmp_path: Path) -> None:
    wave = np.array([[0.5, -0.25], [0.25, 0.25]])
    soundfile.write(tmp_path / "a.wav", wave, 24_000)
    np.testing.assert_array_equal(next(audio.stream_blocks(tmp_path / "a.wav")), [0.125, 0.25])


def test_a_cut_flac_is_an_error_after_what_could_be_decoded(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-9000, 9000, 48_000, dtype=np.int16)
    soundfile.write(tmp_path / "a.flac", noise, 24_000)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2])
    blocks = audio.stream_channels(tmp_path / "a.flac", block_samples=4096)
    np.testing.assert_array_equal(next(blocks)[:, 0], noise[:4096] / np.float32(32768))
    with pytest.raises(audio.AudioError, match=r"a\.flac"):
        list(blocks)
