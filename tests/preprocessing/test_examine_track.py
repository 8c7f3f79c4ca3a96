"""One file: its verdict, and its conversion sample by sample."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from music_files import SUBTYPES, make_bad_folder, make_music, tone, write_music
from piped_flac import without_length

from mert_fairseq import audio
from mert_fairseq.audio.ogg import ogg_checksum
from mert_fairseq.preprocessing.examine_track import Settings, Track, examine
from mert_fairseq.preprocessing.scan import scan_folder


def converted(path: Path, out: Path, **settings: object) -> tuple[Track, np.ndarray]:
    """Examine one file with conversion; gives the track and the int16 samples of its file."""
    (source,) = [found for found in scan_folder(path.parent).sources if found.path == path.name]
    out.mkdir(exist_ok=True)
    track = examine((source, "x.flac"), Settings(path.parent, convert_to=out, **settings))  # type: ignore[arg-type]
    if track.reason:
        return track, np.empty(0)
    wave, rate = soundfile.read(out / "x.flac", dtype="int16")
    assert rate == 24_000
    return track, wave


def test_each_bad_file_gets_its_reason(tmp_path: Path) -> None:
    expected = make_bad_folder(tmp_path)
    settings = Settings(tmp_path, convert_to=tmp_path)
    found = {source.path: examine((source, "x.wav"), settings).reason for source in scan_folder(tmp_path).sources}
    assert found == expected
    assert not (tmp_path / "x.wav").exists()


def test_a_cut_mp3_says_how_much_of_it_decodes(tmp_path: Path) -> None:
    path = make_music(tmp_path / "a.mp3", 10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    track, _ = converted(path, tmp_path / "out")
    assert track.detail.startswith("decodes up to 5.9")
    assert "of 10.00 s" in track.detail


def test_a_file_at_the_training_rate_passes_bit_by_bit(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-32768, 32768, 200_000, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", noise, 24_000)
    track, wave = converted(tmp_path / "a.wav", tmp_path / "out")
    np.testing.assert_array_equal(wave, noise)
    assert (track.samples, track.gain, track.seconds) == (200_000, 1.0, round(200_000 / 24_000, 3))


def test_a_stereo_file_becomes_its_mean_resampled(tmp_path: Path) -> None:
    stereo = np.concatenate([tone(7, 44_100, 1), tone(7, 44_100, 2)], axis=1)
    write_music(tmp_path / "a.wav", stereo, 44_100, "FLOAT")
    track, wave = converted(tmp_path / "a.wav", tmp_path / "out")
    expected = soxr.resample(stereo.mean(axis=1), 44_100, 24_000)
    assert track.samples == len(wave) == len(expected) == 168_000
    np.testing.assert_allclose(wave / 32768, expected, atol=1.01 / 65536)  # half a step of 16 bits


@pytest.mark.parametrize("suffix", list(SUBTYPES))
def test_every_encoding_comes_out_at_its_length_and_level(tmp_path: Path, suffix: str) -> None:
    track, wave = converted(make_music(tmp_path / f"a{suffix}", 3), tmp_path / "out")
    assert track.reason is None
    assert len(wave) == track.samples == 72_000
    assert 0.3 < track.peak < 0.5
    assert np.abs(wave).max() / 32768 == pytest.approx(track.peak, abs=1e-4)


def test_a_file_above_full_scale_is_scaled_as_a_whole(tmp_path: Path) -> None:
    loud = 1.6 * tone(3, 24_000, peak=0.99)
    write_music(tmp_path / "a.wav", loud, 24_000, "FLOAT")
    track, wave = converted(tmp_path / "a.wav", tmp_path / "out")
    assert track.peak == pytest.approx(np.abs(loud).max())
    assert track.gain == pytest.approx(32767 / 32768 / np.abs(loud).max())
    np.testing.assert_allclose(wave / 32768, loud[:, 0] * track.gain, atol=1.01 / 65536)


def test_a_lossy_file_that_overshoots_is_neither_clipped_nor_wrapped(tmp_path: Path) -> None:
    square = np.sign(tone(3, 44_100)).astype(np.float32)
    write_music(tmp_path / "a.ogg", 0.8 * square, 44_100)
    track, wave = converted(tmp_path / "a.ogg", tmp_path / "out")
    assert track.reason is None
    assert track.peak > 1
    assert np.abs(wave.astype(np.int32)).max() == 32767
    assert np.count_nonzero(np.abs(wave.astype(np.int32)) == 32767) < 5


def test_long_files_leave_memory_and_come_out_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_music(tmp_path / "a.flac", 5)
    whole = converted(path, tmp_path / "out")
    monkeypatch.setattr("mert_fairseq.preprocessing.examine_track.SPOOL_BYTES", 1000)
    spilt = converted(path, tmp_path / "out")
    assert whole[0] == spilt[0]
    np.testing.assert_array_equal(whole[1], spilt[1])
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["x.flac"]


def test_without_conversion_another_rate_is_rejected_with_the_remedy(tmp_path: Path) -> None:
    make_music(tmp_path / "a.flac")
    (source,) = scan_folder(tmp_path).sources
    track = examine((source, None), Settings(tmp_path))
    assert track.reason == "sample_rate"
    assert track.detail.startswith("44100 Hz, not 24000; ")
    assert "--convert-to DIR" in track.detail


def test_equal_audio_has_equal_digests_in_every_format(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-20000, 20000, 48_000, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", noise, 24_000)
    soundfile.write(tmp_path / "b.flac", np.stack([noise, noise], axis=1), 24_000)
    soundfile.write(tmp_path / "c.flac", noise[::-1], 24_000)
    settings = Settings(tmp_path)
    digests = [examine((source, None), settings).digest for source in scan_folder(tmp_path).sources]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("convert", [True, False])
def test_a_flac_that_states_no_length_is_taken_at_the_length_that_it_has(tmp_path: Path, convert: bool) -> None:
    make_music(tmp_path / "whole.flac", 3, 24_000)
    path = without_length(tmp_path / "whole.flac", tmp_path / "a.flac")
    if convert:
        track, wave = converted(path, tmp_path / "out")
        assert len(wave) == 72_000
    else:
        track = examine((scan_folder(tmp_path).sources[0], None), Settings(tmp_path))
    assert (track.reason, track.samples, track.seconds) == (None, 72_000, 3.0)


def test_a_track_survives_its_line_in_the_journal(tmp_path: Path) -> None:
    track, _ = converted(make_music(tmp_path / "a.mp3"), tmp_path / "out")
    assert Track.from_json(track.to_json()) == track


def test_an_ogg_whose_page_positions_jump_ahead_of_its_audio_is_accepted(tmp_path: Path) -> None:
    path = make_music(tmp_path / "a.ogg", 6)
    pages = path.read_bytes().split(b"OggS")[1:]
    shifted = []
    for page in pages:  # the positions jump half a second in the middle, the audio does not: seen in a game's music
        position = int.from_bytes(page[2:10], "little")
        moved = page[:2] + (position + 22_050 * (position > 3 * 44_100)).to_bytes(8, "little") + page[10:]
        blank = b"OggS" + moved[:18] + bytes(4) + moved[22:]
        shifted.append(blank[:22] + ogg_checksum(blank).to_bytes(4, "little") + blank[26:])
    path.write_bytes(b"".join(shifted))
    assert audio.probe(path).samples == 6.5 * 44_100
    track, wave = converted(path, tmp_path / "out")
    assert track.reason is None
    assert len(wave) == 6 * 24_000
