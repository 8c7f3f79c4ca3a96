"""Whole, cut and damaged files by their bytes; signatures of what is no music."""

import struct
from pathlib import Path

import pytest
from music_files import SUBTYPES, corrupt, cut, make_music

from mert_fairseq.ingest.completeness import missing_bytes, ogg_checksum
from mert_fairseq.ingest.reasons import Reason
from mert_fairseq.ingest.signatures import content_of

KINDS = {".mp3": "mpeg", ".ogg": "ogg", ".opus": "ogg", ".flac": "flac", ".wav": "wav"}


@pytest.mark.parametrize("suffix", list(SUBTYPES))
def test_a_whole_file_is_known_by_its_content_and_lacks_nothing(tmp_path: Path, suffix: str) -> None:
    path = make_music(tmp_path / f"a{suffix}")
    assert content_of(path) == KINDS[suffix]
    assert missing_bytes(path, KINDS[suffix]) is None


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".opus"])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_cut_file_is_truncated_though_its_decoder_is_content(tmp_path: Path, suffix: str, share: float) -> None:
    path = cut(make_music(tmp_path / f"a{suffix}"), share)
    fault = missing_bytes(path, KINDS[suffix])
    assert fault is not None
    assert fault[0] is Reason.TRUNCATED


def test_an_ogg_cut_between_two_pages_lacks_its_end_mark(tmp_path: Path) -> None:
    path = make_music(tmp_path / "a.ogg", 6)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"OggS")])
    assert missing_bytes(path, "ogg") == (Reason.TRUNCATED, "the last page does not end the stream")


def test_an_ogg_that_lacks_a_page_in_the_middle_is_damaged(tmp_path: Path) -> None:
    path = make_music(tmp_path / "a.ogg", 12)
    pages = path.read_bytes().split(b"OggS")
    path.write_bytes(b"OggS".join(pages[:4] + pages[5:]))
    fault = missing_bytes(path, "ogg")
    assert fault is not None
    assert fault[0] is Reason.DAMAGED
    assert "pages are missing" in fault[1]


@pytest.mark.parametrize("suffix", [".ogg", ".opus"])
def test_noise_inside_an_ogg_fails_a_checksum(tmp_path: Path, suffix: str) -> None:
    fault = missing_bytes(corrupt(make_music(tmp_path / f"a{suffix}", 6)), "ogg")
    assert fault is not None
    assert fault[0] is Reason.DAMAGED


def test_zeros_in_place_of_pages_are_damage(tmp_path: Path) -> None:
    path = make_music(tmp_path / "a.ogg", 6)
    content = path.read_bytes()
    start = content.rindex(b"OggS")
    path.write_bytes(content[:start] + bytes(len(content) - start))
    fault = missing_bytes(path, "ogg")
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


@pytest.mark.parametrize("declared", [0, 0xFFFFFFFF])
def test_a_wav_written_to_a_pipe_declares_no_length_and_is_whole(tmp_path: Path, declared: int) -> None:
    path = make_music(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", declared)
    path.write_bytes(content)
    assert missing_bytes(path, "wav") is None


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x20ftypM4A ", "mp4"),
        (b"ID3\x04\0\0\0\0\0\x05xxxxxfLaC", "flac"),  # a tag of 5 bytes in front of a FLAC
        (b"ID3\x04\0\0\0\0\0\x05xxxxx\xff\xfb\x90", "mpeg"),
        (b"\xff\xf1\x50\x80", "aac"),
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
    assert content_of(tmp_path / "a") == kind
