"""Each remedy that names a command helps: the command is run on a file of that kind, and what it makes is taken."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from music_files import corrupt, cut, make_music, tone, write_music

from mert_fairseq import audio
from mert_fairseq.preprocessing.examine_track import Settings, Track, examine
from mert_fairseq.preprocessing.reject_reasons import REMEDIES, Reason
from mert_fairseq.preprocessing.scan import Source

RATE = 44_100


def _examined(path: Path) -> Track:
    return examine((Source(path.name, path.stat().st_size, 0), None), Settings(path.parent, sample_rate=RATE))


def _joined(path: Path) -> Path:
    path.write_bytes(path.read_bytes() * 2)
    return path


def _chunked(path: Path, kind: str) -> Path:
    soundfile.write(path, tone(2, RATE, channels=2), RATE, "PCM_16", format=kind)
    return path


def _cut_between_pages(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"OggS")])
    return path


def _cancelling(path: Path) -> Path:
    left = tone(2, RATE)
    return write_music(path, np.concatenate([left, -left], axis=1), RATE)


FLAC = "ffmpeg -i FILE FILE.flac"
COPY = "ffmpeg -i OLD -c copy NEW"
IGNORE = "ffmpeg -ignore_length 1 -i FILE FILE.flac"
TAIL = "tail -c BYTES FILE > NEW"
ONE_CHANNEL = "ffmpeg -i FILE -af channelmap=0:mono FILE.flac"

# the file's name, how it comes about, why it is refused, the command, and the seconds that are there afterwards
CASES: list[tuple[str, Callable[[Path], Path], Reason, str, float]] = [
    ("cut.wav", lambda path: cut(make_music(path)), Reason.TRUNCATED, FLAC, 1.2),
    ("cut.aiff", lambda path: cut(_chunked(path, "AIFF")), Reason.TRUNCATED, FLAC, 1.2),
    ("cut.flac", lambda path: cut(make_music(path)), Reason.TRUNCATED, FLAC, 1.1),
    ("cut.mp3", lambda path: cut(make_music(path)), Reason.TRUNCATED, FLAC, 1.2),
    ("cut.ogg", lambda path: cut(make_music(path, 6)), Reason.TRUNCATED, FLAC, 3.4),
    ("page.ogg", lambda path: _cut_between_pages(make_music(path, 6)), Reason.TRUNCATED, FLAC, 5.9),
    ("copy.ogg", lambda path: _cut_between_pages(make_music(path, 6)), Reason.TRUNCATED, COPY, 5.9),
    ("noise.flac", lambda path: corrupt(make_music(path)), Reason.TRUNCATED, FLAC, 1.9),
    ("noise.mp3", lambda path: corrupt(make_music(path, 6), 4000), Reason.TRUNCATED, FLAC, 5.5),
    ("noise.ogg", lambda path: corrupt(make_music(path, 6)), Reason.DAMAGED, FLAC, 5.6),
    ("two.mp3", lambda path: _joined(make_music(path)), Reason.HIDDEN_AUDIO, FLAC, 4.05),
    ("two.ogg", lambda path: _joined(make_music(path)), Reason.HIDDEN_AUDIO, FLAC, 4),
    ("two.au", lambda path: _joined(_chunked(path, "AU")), Reason.HIDDEN_AUDIO, FLAC, 4),
    ("two.wav", lambda path: _joined(make_music(path)), Reason.HIDDEN_AUDIO, IGNORE, 4),
    ("two.aiff", lambda path: _joined(_chunked(path, "AIFF")), Reason.HIDDEN_AUDIO, TAIL, 2),
    ("two.w64", lambda path: _joined(_chunked(path, "W64")), Reason.HIDDEN_AUDIO, TAIL, 2),
    ("cancels.wav", _cancelling, Reason.SILENT, ONE_CHANNEL, 2),
]


@pytest.mark.parametrize(("name", "make", "reason", "command", "seconds"), CASES, ids=[case[0] for case in CASES])
def test_a_remedy_makes_a_file_that_is_taken(
    tmp_path: Path, name: str, make: Callable[[Path], Path], reason: Reason, command: str, seconds: float
) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    path = make(tmp_path / name)
    refused = _examined(path)
    assert refused.reason is reason
    assert command in REMEDIES[reason] + refused.detail
    following = re.search(r"(\d+) more follow", refused.detail)
    typed = command.replace("BYTES", following[1] if following else "")
    typed = typed.replace("FILE", path.name).replace("OLD", path.name).replace("NEW", f"new{path.suffix}")
    typed = typed.replace("ffmpeg", "ffmpeg -nostdin -loglevel error -threads 1")
    subprocess.run(typed, shell=True, cwd=tmp_path, check=True)
    (made,) = [entry for entry in tmp_path.iterdir() if entry != path]
    taken = _examined(made)
    assert (taken.reason, taken.detail) == (None, "")
    assert taken.seconds == pytest.approx(seconds, abs=0.15)


@pytest.mark.parametrize(
    ("suffix", "options", "reason"),
    [
        (".m4a", ("-c:a", "aac"), Reason.NO_DECODER),
        (".mka", ("-c:a", "libmp3lame"), Reason.NO_DECODER),
        (".w64", ("-c:a", "libmp3lame"), Reason.UNDECODABLE),
        (".caf", ("-c:a", "libmp3lame"), Reason.UNDECODABLE),
        (".wav", ("-c:a", "ac3"), Reason.UNDECODABLE),
        (".oga", ("-c:a", "flac"), Reason.UNDECODABLE),
    ],
)
def test_what_libsndfile_cannot_decode_is_taken_once_ffmpeg_has_converted_it(
    tmp_path: Path, make_with_ffmpeg: Callable[..., Path], suffix: str, options: tuple[str, ...], reason: Reason
) -> None:
    path = make_with_ffmpeg(make_music(tmp_path / "a.flac"), tmp_path / f"a{suffix}", *options)
    assert _examined(path).reason is reason
    assert FLAC in REMEDIES[reason]
    assert _examined(make_with_ffmpeg(path, tmp_path / f"a{suffix}.flac")).reason is None


@pytest.mark.parametrize("name", ["a.mp3", "a.wav"])
def test_mp3_in_a_wav_is_taken_at_its_length_under_either_name(
    tmp_path: Path, make_with_ffmpeg: Callable[..., Path], name: str
) -> None:
    source = make_music(tmp_path / "source.flac", 6)
    path = make_with_ffmpeg(source, tmp_path / name, "-c:a", "libmp3lame", "-q:a", "4", "-f", "wav")
    track = _examined(path)
    assert (track.reason, track.samples) == (None, audio.count_samples(path))
    assert track.seconds == pytest.approx(6, abs=0.06)


def test_an_mp3_of_variable_rate_without_a_length_header_is_taken_at_its_length(
    tmp_path: Path, make_with_ffmpeg: Callable[..., Path]
) -> None:
    source = make_music(tmp_path / "source.flac", 6)
    path = make_with_ffmpeg(source, tmp_path / "a.mp3", "-c:a", "libmp3lame", "-q:a", "4", "-write_xing", "0")
    track = _examined(path)
    assert track.reason is None
    assert track.seconds == pytest.approx(6, abs=0.06)
