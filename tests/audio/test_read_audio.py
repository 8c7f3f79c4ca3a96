"""Spans equal what a whole decode gives there, sample for sample, and what is wrong with a file is said."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from odd_files import without_end_mark
from piped_flac import without_length

from mert_fairseq.audio import (
    UNKNOWN_SAMPLES,
    AudioError,
    count_samples,
    probe,
    read_span,
    resample_blocks,
    stream_blocks,
    to_int16,
    write_blocks,
)
from mert_fairseq.audio.mpeg_length import seconds_past_stated_length, with_stated_length

RATE = 24_000
FORMATS = {
    "wav": {},
    "flac": {},
    "ogg": {},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "constant.mp3": {"bitrate_mode": "CONSTANT", "compression_level": 0.5},
    "variable.mp3": {"bitrate_mode": "VARIABLE", "compression_level": 0.3},
}


def _music(samples: int, rate: int = RATE) -> np.ndarray:
    """Tones and bursts of noise: VBR frames differ in size, so that they lean on each other."""
    time = np.arange(samples) / rate
    noise = np.random.default_rng(0).standard_normal(samples)
    return (0.3 * np.sin(1400 * time * (1 + 0.1 * np.sin(time))) + 0.1 * noise * (np.sin(9 * time) > 0.5)).astype(
        np.float32
    )


def _write(path: Path, wave: np.ndarray, rate: int = RATE, **options) -> Path:
    kind = options.pop("format", None)
    with soundfile.SoundFile(path, "w", rate, 1 if wave.ndim == 1 else wave.shape[1], format=kind, **options) as file:
        file.write(wave)
    return path


def _seconds_past_stated_length(path: Path) -> float:
    with path.open("rb") as file:
        return seconds_past_stated_length(file)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("audio")
    return {name: _write(folder / f"a.{name}", _music(10 * RATE), **options) for name, options in FORMATS.items()}


@pytest.mark.parametrize("name", FORMATS)
def test_a_span_is_what_a_whole_decode_gives_there(files, name):
    whole = read_span(files[name], dtype="float32")
    # the last two seconds are where Vorbis decoders go astray
    starts = [
        0,
        1,
        320,
        *np.random.default_rng(1).integers(0, len(whole) - 4000, 20),
        *range(len(whole) - 48_000, len(whole), 4001),
    ]
    for start in map(int, starts):
        samples = min(4000, len(whole) - start)
        span = read_span(files[name], start, samples, dtype="float32")
        np.testing.assert_allclose(span, whole[start : start + samples], atol=1e-4, err_msg=f"from {start}")


@pytest.mark.parametrize(("rate", "channels"), [(22_050, 2), (24_000, 2), (44_100, 1), (44_100, 2), (48_000, 2)])
def test_a_span_of_an_mp3_is_right_in_every_mpeg_version_and_channel_count(tmp_path, rate, channels):
    wave = np.stack([_music(4 * rate, rate), _music(4 * rate, rate)[::-1]], axis=1)[:, :channels]
    path = _write(tmp_path / "a.mp3", wave, rate, bitrate_mode="VARIABLE", compression_level=0.9)
    whole = read_span(path, dtype="float32")
    for start in range(0, 3 * rate, 7001):
        np.testing.assert_allclose(
            read_span(path, start, 2000, dtype="float32"), whole[start : start + 2000], atol=1e-4
        )


def test_the_mp3_decoder_is_silent_and_nobody_else_is(files, capfd):
    for start in range(0, 5 * RATE, 9973):
        read_span(files["variable.mp3"], start, 1000)
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


@pytest.mark.parametrize("name", ["wav", "flac"])
def test_16_bit_files_pass_as_int16_without_loss(tmp_path, name):
    wave = np.array([-32768, -1, 0, 1, 32767, 12345], dtype=np.int16)
    path = _write(tmp_path / f"a.{name}", wave)
    np.testing.assert_array_equal(read_span(path), wave)
    np.testing.assert_array_equal(to_int16(read_span(path, dtype="float32")), wave)


def test_what_a_lossy_file_overshoots_is_clipped_not_wrapped(tmp_path):
    path = _write(tmp_path / "a.ogg", np.repeat([[1.5], [-1.5]], 3000, axis=1).ravel().astype(np.float32))
    pcm = read_span(path)
    assert pcm[1000] == 32767
    assert pcm[5000] == -32768


def test_channels_are_averaged(tmp_path):
    path = _write(tmp_path / "a.wav", np.array([[100, 300], [-7, -8]], dtype=np.int16))
    np.testing.assert_array_equal(read_span(path), [200, -8])  # -7.5 rounds to the even neighbour


def test_the_header_is_probed(files):
    assert probe(files["flac"]) == (RATE, 10 * RATE, 1, "FLAC/PCM_16")
    assert probe(files["opus"]).format == "OGG/OPUS"


@pytest.mark.parametrize("name", ["flac", "variable.mp3"])
def test_a_truncated_file_is_an_error(files, tmp_path, name):
    cut = tmp_path / f"cut.{name}"
    cut.write_bytes(files[name].read_bytes()[: files[name].stat().st_size // 2])
    with pytest.raises(AudioError, match=r"cut.*(truncated|cannot be decoded)"):
        read_span(cut, 6 * RATE, RATE)
    with pytest.raises(AudioError, match=r"cut.*(truncated|cannot be decoded)"):
        count_samples(cut)


def test_a_span_beyond_the_end_says_how_long_the_file_is(files):
    with pytest.raises(
        AudioError, match=r"a\.wav: found 240000 samples, expected samples 239999 to 240001.*manifest again"
    ):
        read_span(files["wav"], 10 * RATE - 1, 2)


def test_another_rate_is_an_error(files):
    with pytest.raises(AudioError, match=r"a\.wav: found 24000 Hz, expected 16000 Hz\. Convert it"):
        read_span(files["wav"], 0, 10, sample_rate=16_000)


def test_missing_empty_and_foreign_files_have_different_errors(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.mp3").write_text("no audio " * 100)
    for name, message in [
        ("none.wav", "no such file. Check the manifest's first line"),
        ("empty.wav", "the file is empty"),
        ("text.mp3", "cannot be decoded"),
    ]:
        with pytest.raises(AudioError, match=f"{name}: {message}"):
            probe(tmp_path / name)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_in_a_folder_that_is_not_utf_8_is_read_and_written(files, tmp_path, name):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9/na\xefve." + name.encode()))
    path.parent.mkdir()
    path.write_bytes(files[name].read_bytes())
    assert probe(path) == probe(files[name])
    for start, dtype in [(5 * RATE, "float32"), (9 * RATE, "int16")]:
        np.testing.assert_array_equal(
            read_span(path, start, 500, dtype=dtype), read_span(files[name], start, 500, dtype=dtype)
        )
    copy = path.with_name(path.stem + ".flac.wav")
    assert write_blocks(copy, stream_blocks(path), RATE) == probe(copy).samples == count_samples(files[name])


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_samples_that_are_no_numbers_are_an_error(tmp_path, dtype):
    wave = np.zeros(100, dtype=np.float32)
    wave[70] = np.nan
    path = _write(tmp_path / "a.wav", wave, subtype="FLOAT")
    with pytest.raises(AudioError, match="found NaN or infinity at sample 70"):
        read_span(path, 50, 50, dtype=dtype)
    assert read_span(path, 0, 70, dtype=dtype).max() == 0


def test_resampling_in_blocks_is_resampling_at_once(files):
    blocks = [
        np.concatenate(list(resample_blocks(stream_blocks(files["flac"], size), RATE, 16_000))) for size in (999, 10**6)
    ]
    assert len(blocks[0]) == 10 * 16_000
    np.testing.assert_allclose(blocks[0], blocks[1], atol=1e-6)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("block_samples", [999, 77_777])
def test_blocks_join_to_the_whole_file(files, name, block_samples):
    blocks = list(stream_blocks(files[name], block_samples))
    assert {len(block) for block in blocks[:-1]} == {block_samples}
    np.testing.assert_allclose(np.concatenate(blocks), soundfile.read(files[name])[0], atol=1e-4)


def _id3(tag_bytes: int) -> bytes:
    return b"ID3\x04\x00\x00" + bytes(tag_bytes >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(tag_bytes)


def _without_length_header(source: Path, target: Path, front: bytes = b"") -> Path:
    """An MP3 less its first frame, which states the length, behind ``front`` and before an ID3v1 tag."""
    content = source.read_bytes()
    second_frame = content.index(content[:2], 4)
    target.write_bytes(front + content[second_frame:] + b"TAG" + bytes(125))
    return target


ENCODER_DELAY = 576  # samples at 24 kHz that the length header of a file says to leave out
FRONTS = [b"", _id3(300) + _id3(300_000), bytes(5000), _id3(300) + b"\xff\xfb\x90" * 99]


def _assert_whole(path: Path, whole: Path, delay: int) -> None:
    """``path`` holds what ``whole`` decodes to, ``delay`` samples later, and spans are cuts of it."""
    samples = count_samples(path)
    assert probe(path)[:3] == (RATE, samples, 1)
    assert abs(samples - 10 * RATE) < 4 * 576
    wave, expected = read_span(path, dtype="float32"), read_span(whole, dtype="float32")
    np.testing.assert_allclose(wave[delay + 2000 :][: 8 * RATE], expected[2000:][: 8 * RATE], atol=1e-4)
    for start in range(0, samples - 2000, 47_011):
        np.testing.assert_allclose(read_span(path, start, 2000, dtype="float32"), wave[start : start + 2000], atol=1e-4)


@pytest.mark.parametrize("name", ["constant.mp3", "variable.mp3"])
@pytest.mark.parametrize("front", FRONTS)
def test_an_mp3_that_does_not_state_its_length_is_read_whole(files, tmp_path, name, front):
    _assert_whole(_without_length_header(files[name], tmp_path / "a.mp3", front), files[name], ENCODER_DELAY)


def test_an_mp3_whose_length_header_states_no_frames_keeps_its_encoder_delay(files, tmp_path):
    content = bytearray(files["variable.mp3"].read_bytes())
    place = next(content.find(name) for name in (b"Xing", b"Info") if name in content)
    content[place + 8 : place + 12] = bytes(4)
    (tmp_path / "a.mp3").write_bytes(content)
    np.testing.assert_array_equal(read_span(tmp_path / "a.mp3"), read_span(files["variable.mp3"]))


def test_the_length_in_a_vbri_header_is_used(files, tmp_path):
    content = files["variable.mp3"].read_bytes()
    second_frame = content.index(content[:2], 4)
    frame = bytearray(content[:second_frame]).ljust(second_frame, b"\0")
    frame[4:] = bytes(len(frame) - 4)
    frames = len(read_span(files["variable.mp3"])) // 576 + 2
    tag = b"VBRI" + bytes(10) + frames.to_bytes(4, "big")
    frame[36 : 36 + len(tag)] = tag
    path = tmp_path / "a.mp3"
    path.write_bytes(frame + content[second_frame:])
    _assert_whole(path, files["variable.mp3"], ENCODER_DELAY)
    path.write_bytes(path.read_bytes()[: len(content) // 2])
    with pytest.raises(AudioError, match=r"a\.mp3: .*(truncated|cannot be decoded)"):
        count_samples(path)


def _in_riff(content: bytes, path: Path, form: bytes = b"WAVE", junk_bytes: int = 0, audio_format: int = 0x55) -> Path:
    """MPEG audio in a RIFF container, a chunk of zeros before it and a short one behind."""
    chunks = [(b"LIST", bytes(junk_bytes)), (b"data", content), (b"LIST", b"INFOISFT")]
    if form == b"WAVE":
        fmt = struct.pack("<HHIIHHHHIHHH", audio_format, 1, RATE, 8000, 1, 0, 12, 1, 2, 576, 1, 0)
        chunks.insert(0, (b"fmt ", fmt))
    body = b"".join(name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + form + body)
    return path


@pytest.mark.parametrize(("form", "suffix"), [(b"WAVE", "wav"), (b"WAVE", "mp3"), (b"RMP3", "mp3"), (b"RMP3", "rmp")])
@pytest.mark.parametrize("is_stated", [True, False])
def test_mpeg_audio_in_a_riff_container_is_read_as_such(files, tmp_path, capfd, form, suffix, is_stated):
    source = files["variable.mp3"]
    bare = source if is_stated else _without_length_header(source, tmp_path / "bare.mp3")
    path = _in_riff(bare.read_bytes(), tmp_path / f"a.{suffix}", form, junk_bytes=100_001)
    assert probe(path).format == "MP3/MPEG_LAYER_III"
    _assert_whole(path, source, 0 if is_stated else ENCODER_DELAY)
    assert capfd.readouterr().err == ""


def test_a_second_song_behind_the_stated_length_is_found_in_a_riff_container_too(files, tmp_path):
    both = files["variable.mp3"].read_bytes() + files["constant.mp3"].read_bytes()
    assert _seconds_past_stated_length(_in_riff(both, tmp_path / "a.wav")) == pytest.approx(10, abs=0.2)


@pytest.mark.parametrize("name", ["constant.mp3", "variable.mp3"])
def test_an_mp3_that_states_its_length_is_decoded_as_it_is(files, name):
    with files[name].open("rb") as file:
        assert with_stated_length(file) is None


def test_layer_ii_is_counted_and_read(tmp_path, make_with_ffmpeg):
    path = make_with_ffmpeg(_write(tmp_path / "a.wav", _music(5 * RATE)), tmp_path / "a.mp2", "-b:a", "64k")
    path.write_bytes(_id3(300_000) + path.read_bytes())
    assert probe(path).samples == count_samples(path) == len(read_span(path))
    assert probe(path).samples == pytest.approx(5 * RATE, abs=2 * 1152)


@pytest.mark.parametrize("between", [b"", b"TAG" + bytes(125) + _id3(300_000), bytes(5000)])
def test_what_follows_the_length_that_an_mp3_states_is_measured(files, tmp_path, between):
    path = tmp_path / "a.mp3"
    path.write_bytes(files["variable.mp3"].read_bytes() + between + files["constant.mp3"].read_bytes())
    assert count_samples(path) == 10 * RATE  # the decoder stops there
    assert _seconds_past_stated_length(path) == pytest.approx(10, abs=0.2)
    for name in ("constant.mp3", "variable.mp3"):
        path.write_bytes(files[name].read_bytes() + np.random.default_rng(0).bytes(300_000))  # a picture
        assert _seconds_past_stated_length(path) == 0


def test_a_flac_without_a_stated_length_is_read(files, tmp_path):
    path = without_length(files["flac"], tmp_path / "a.flac")
    assert probe(path).samples == UNKNOWN_SAMPLES
    assert count_samples(path) == 10 * RATE
    for span in [(0, None), (5 * RATE, 1000), (9 * RATE, None)]:
        np.testing.assert_array_equal(read_span(path, *span), read_span(files["flac"], *span))
    with pytest.raises(AudioError, match="found 240000 samples, expected samples 239000 to 241000"):
        read_span(path, 239_000, 2000)


def test_a_span_of_a_flac_after_a_large_id3_tag_is_read(files, tmp_path):
    path = tmp_path / "a.flac"
    path.write_bytes(_id3(1_000_000) + files["flac"].read_bytes())
    for span in [(0, 100), (5 * RATE, 1000), (9 * RATE, None)]:
        np.testing.assert_array_equal(read_span(path, *span), read_span(files["flac"], *span))


@pytest.mark.parametrize("name", ["ogg", "opus"])
def test_an_ogg_without_its_end_mark_reads_like_one_that_has_it(files, tmp_path, name):
    path = without_end_mark(files[name], tmp_path / f"a.{name}")
    np.testing.assert_array_equal(read_span(path), read_span(files[name]))
    assert count_samples(path) == count_samples(files[name])


def test_conversion_keeps_pitch_level_and_length(tmp_path):
    time = np.arange(44_100) / 44_100
    source = _write(tmp_path / "a.wav", (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32), 44_100)
    blocks = resample_blocks(stream_blocks(source), 44_100, RATE)
    assert write_blocks(tmp_path / "b.flac", blocks, RATE) == RATE
    assert probe(tmp_path / "b.flac") == (RATE, RATE, 1, "FLAC/PCM_16")
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    np.testing.assert_allclose(read_span(tmp_path / "b.flac", dtype="float32")[500:-500], expected[500:-500], atol=2e-3)


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def blocks():
        yield np.zeros(10, dtype=np.float32)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_blocks(tmp_path / "a.wav", blocks(), RATE)
    assert list(tmp_path.iterdir()) == []
