"""Whole, cut and damaged files by their bytes; signatures of what is no music."""

import struct
from pathlib import Path

import pytest
import soundfile
from music_files import SUBTYPES, corrupt, cut, make_music, tone
from odd_files import without_end_mark

from mert_fairseq.audio import probe, stream_blocks
from mert_fairseq.audio.ogg import ogg_checksum
from mert_fairseq.preprocessing.completeness import NO_END_MARK, container_fault
from mert_fairseq.preprocessing.reject_reasons import Reason
from mert_fairseq.preprocessing.signatures import content_of

CHUNKED = [("WAV", "wav"), ("WAVEX", "wav"), ("RF64", "wav"), ("W64", "w64"), ("AIFF", "aiff"), ("AU", "au")]
KINDS = {".mp3": "mpeg", ".ogg": "ogg", ".opus": "ogg", ".flac": "flac", ".wav": "wav"}


def fault_of(path: Path, container: str) -> tuple[Reason, str] | None:
    with path.open("rb") as stream:
        return container_fault(path, stream, container)


def type_of(path: Path) -> str | None:
    with path.open("rb") as stream:
        return content_of(stream)


@pytest.mark.parametrize("suffix", list(SUBTYPES))
def test_a_whole_file_is_known_by_its_content_and_lacks_nothing(tmp_path: Path, suffix: str) -> None:
    path = make_music(tmp_path / f"a{suffix}")
    assert type_of(path) == KINDS[suffix]
    assert fault_of(path, KINDS[suffix]) is None


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".opus"])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_cut_file_that_decodes_without_an_error_is_truncated(tmp_path: Path, suffix: str, share: float) -> None:
    path = cut(make_music(tmp_path / f"a{suffix}"), share)
    fault = fault_of(path, KINDS[suffix])
    assert fault is not None
    assert fault[0] is Reason.TRUNCATED


@pytest.mark.parametrize(("kind", "container"), CHUNKED)
@pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
def test_a_cut_file_of_chunks_is_truncated(tmp_path: Path, kind: str, container: str, share: float) -> None:
    path = tmp_path / "a"
    soundfile.write(path, tone(1, 24_000), 24_000, "PCM_16", format=kind)
    assert type_of(path) == container
    assert fault_of(path, container) is None
    whole_bytes = path.stat().st_size
    declared, present = 48_000 + 8 * (kind == "AIFF"), int(whole_bytes * share) - (whole_bytes - 48_000)
    assert fault_of(cut(path, share), container) == (
        Reason.TRUNCATED,
        f"the header declares {declared} bytes of audio, {present + 8 * (kind == 'AIFF')} are there",
    )


@pytest.mark.parametrize(("kind", "container"), [pair for pair in CHUNKED if pair[0] != "W64"])
def test_audio_beyond_the_declared_size_is_hidden_and_tags_are_not(tmp_path: Path, kind: str, container: str) -> None:
    path = tmp_path / "a"
    soundfile.write(path, tone(1, 24_000), 24_000, "PCM_16", format=kind)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[-40_000:] * 2)
    assert soundfile.info(path).frames == 24_000
    assert fault_of(path, container) == (
        Reason.HIDDEN_AUDIO,
        f"the header declares {48_000 + 8 * (kind == 'AIFF')} bytes of audio, 80000 more follow",
    )
    path.write_bytes(whole + b"TAG" + bytes(125))
    assert fault_of(path, container) is None


def test_a_picture_in_a_chunk_behind_the_audio_of_a_wav_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(1, 24_001), 24_001, "PCM_U8")
    picture = struct.pack("<4sI", b"id3 ", 200_000) + bytes(200_000)
    padded = path.read_bytes()
    assert len(padded) == 44 + 24_002
    for content in (padded, padded[:-1]):  # some programs forget to pad
        path.write_bytes(content + picture)
        assert fault_of(path, "wav") is None


def test_two_wavs_in_one_file_hide_the_second(tmp_path: Path) -> None:
    path = make_music(tmp_path / "a.wav")
    path.write_bytes(path.read_bytes() * 2)
    fault = fault_of(path, "wav")
    assert fault is not None
    assert fault[0] is Reason.HIDDEN_AUDIO


@pytest.mark.parametrize(
    ("kind", "container", "size", "form"),
    [("W64", "w64", 2**64 - 1, "<Q"), ("AU", "au", 0xFFFFFFFF, ">I"), ("AIFF", "aiff", 0x7F000008, ">I")],
)
def test_sizes_that_were_written_to_a_pipe_are_not_believed(
    tmp_path: Path, kind: str, container: str, size: int, form: str
) -> None:
    path = tmp_path / "a"
    soundfile.write(path, tone(1, 24_000), 24_000, "PCM_16", format=kind)
    content = bytearray(path.read_bytes())
    place = {"W64": content.find(b"data") + 16, "AU": 8, "AIFF": content.find(b"SSND") + 4}[kind]
    struct.pack_into(form, content, place, size)
    path.write_bytes(content)
    assert fault_of(path, container) is None
    assert soundfile.info(path).frames == 24_000


@pytest.mark.parametrize("suffix", [".ogg", ".opus", ".mp3"])
def test_a_second_song_in_a_file_is_hidden(tmp_path: Path, suffix: str) -> None:
    first, second = make_music(tmp_path / f"a{suffix}", 3, seed=1), make_music(tmp_path / f"b{suffix}", 4, seed=2)
    first.write_bytes(first.read_bytes() + second.read_bytes())
    assert sum(map(len, stream_blocks(first))) == pytest.approx(3 * probe(first).sample_rate, abs=2000)
    fault = fault_of(first, KINDS[suffix])
    assert fault is not None
    assert fault[0] is Reason.HIDDEN_AUDIO


@pytest.mark.parametrize("suffix", [".ogg", ".opus"])
def test_an_ogg_cut_between_two_pages_is_truncated(tmp_path: Path, suffix: str) -> None:
    path = make_music(tmp_path / f"a{suffix}", 6.2)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"OggS")])
    assert fault_of(path, "ogg") == (Reason.TRUNCATED, NO_END_MARK)


@pytest.mark.parametrize("suffix", [".ogg", ".opus"])
def test_an_ogg_that_lacks_its_end_mark_alone_is_whole(tmp_path: Path, suffix: str) -> None:
    path = without_end_mark(make_music(tmp_path / f"a{suffix}", 6.2), tmp_path / f"b{suffix}")
    assert fault_of(path, "ogg") is None


def test_an_ogg_that_lacks_a_page_in_the_middle_is_damaged(tmp_path: Path) -> None:
    path = make_music(tmp_path / "a.ogg", 12)
    pages = path.read_bytes().split(b"OggS")
    path.write_bytes(b"OggS".join(pages[:4] + pages[5:]))
    fault = fault_of(path, "ogg")
    assert fault is not None
    assert fault[0] is Reason.DAMAGED
    assert "pages are missing" in fault[1]


@pytest.mark.parametrize("suffix", [".ogg", ".opus"])
def test_noise_inside_an_ogg_fails_a_checksum(tmp_path: Path, suffix: str) -> None:
    fault = fault_of(corrupt(make_music(tmp_path / f"a{suffix}", 6)), "ogg")
    assert fault is not None
    assert fault[0] is Reason.DAMAGED


def test_zeros_in_place_of_pages_are_damage(tmp_path: Path) -> None:
    path = make_music(tmp_path / "a.ogg", 6)
    content = path.read_bytes()
    start = content.rindex(b"OggS")
    path.write_bytes(content[:start] + bytes(len(content) - start))
    fault = fault_of(path, "ogg")
    assert fault is not None
    assert fault[0] is Reason.DAMAGED


def test_the_ogg_checksum_is_the_bitwise_definition() -> None:
    page = bytes(range(7, 107))
    register = 0
    for byte in page:  # RFC 3533: polynomial 0x04c11db7, most significant bit first, nothing inverted
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1) ^ 0x04C11DB7 if register & 0x80000000 else register << 1
            register &= 0xFFFFFFFF
    assert ogg_checksum(page) == register


@pytest.mark.parametrize("declared", [0, 0xFFFFFFFF, 0x7FFFF000, 0x7F000008, 0x80000000])
def test_a_wav_written_to_a_pipe_declares_no_length_and_is_whole(tmp_path: Path, declared: int) -> None:
    path = make_music(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", declared)
    path.write_bytes(content)
    assert fault_of(path, "wav") is None


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x20ftypM4A ", "mp4"),
        (b"ID3\x04\0\0\0\0\0\x05xxxxxfLaC", "flac"),  # a tag of 5 bytes in front of a FLAC
        (b"ID3\x04\0\0\0\0\0\x05xxxxx\xff\xfb\x90", "mpeg"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"\xff\xfd\xa4\x04", "mpeg"),  # Layer II
        ("\ufeffExact Audio Copy".encode("utf-16-le"), None),
        (b"\xff" * 16, None),
        (b"<!DOCTYPE html>", "web page"),
        (b"\x89PNG\r\n", "PNG image"),
        (b"MThd\0\0\0\x06", "MIDI"),
        (b"\0\x05\x16\x07", "macOS resource fork"),
        (b"", None),
        (b"anything else", None),
    ],
)
def test_the_first_bytes_tell_the_kind(tmp_path: Path, head: bytes, kind: str | None) -> None:
    (tmp_path / "a").write_bytes(head)
    assert type_of(tmp_path / "a") == kind
