"""How long an MP3 is, where its decoder guesses or believes too soon.

An MP3 has no length field. Encoders put one into a first frame of their own (Xing, Info or VBRI); without it libsndfile
takes the first frame's bit rate for that of the whole file, tags and pictures included, and never decodes beyond its
guess: of a 30 s file of variable bit rate it gave 6 s, and called a whole one of constant bit rate too short. With it
libsndfile stops there, though a second song may have been appended to the file.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

VERSION_1, VERSION_2, VERSION_2_5 = 3, 2, 0
LAYER_3 = 1
SAMPLE_RATES = {VERSION_1: (44100, 48000, 32000), VERSION_2: (22050, 24000, 16000), VERSION_2_5: (11025, 12000, 8000)}
KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
HEADER_BYTES = 4
SYNC = 0x7FF
TAG_REACH_BYTES = 200  # from the first frame's start to the end of the length; side information comes before
SCAN_BYTES = 1 << 16  # of padding or rubbish before a frame
ID3V1_BYTES = 128
ID3V2_HEADER_BYTES = 10


class Frame(NamedTuple):
    """A Layer III frame: its bytes with the header, its samples, its rate in Hz."""

    size_bytes: int
    samples: int
    sample_rate: int


def unstated_samples(path: str | Path) -> int | None:
    """Samples of an MP3 that does not state its length, counted frame by frame; None if it states it.

    Counts up to the first bytes that are no frame, so that it never finds too many; 0 if there is no frame of Layer III
    whose size is known. Reads through the file in bounded memory.
    """
    with Path(path).open("rb") as file:
        if not _seek_frame(file):
            return 0
        if _stated_frames(file) is not None:
            return None
        return sum(frame.samples for frame in _frames(file))


def unreached_seconds(path: str | Path) -> float:
    """Seconds of the frames that come after as many as the first one states; 0 if it states no length."""
    with Path(path).open("rb") as file:
        if not _seek_frame(file) or (stated := _stated_frames(file)) is None:
            return 0.0
        frames, seconds = 0, 0.0
        while _seek_frame(file):
            for frame in _frames(file):
                frames += 1
                if frames > stated + 1:  # the one that states the length is no music
                    seconds += frame.samples / frame.sample_rate
        return seconds


def skip_id3v2(file: BinaryIO) -> int:
    """Seek behind the ID3v2 tags, one or several, that begin here; gives the bytes skipped."""
    begin = position = file.tell()
    while (start := file.read(ID3V2_HEADER_BYTES))[:3] == b"ID3" and len(start) == ID3V2_HEADER_BYTES:
        size = sum((byte & 127) << shift for byte, shift in zip(start[6:10], (21, 14, 7, 0), strict=True))
        footer = ID3V2_HEADER_BYTES if start[5] & 16 else 0
        position = file.seek(position + ID3V2_HEADER_BYTES + size + footer)
    file.seek(position)
    return position - begin


def _seek_frame(file: BinaryIO) -> bool:
    """Seek to the next frame, behind tags and up to SCAN_BYTES of anything else; whether there is one.

    Bytes that look like a header are believed if another one follows where the frame ends, or the file does.
    """
    begin = file.tell()
    file.seek(begin + ID3V1_BYTES if file.read(3) == b"TAG" else begin)
    skip_id3v2(file)
    begin = file.tell()
    rest = file.read(SCAN_BYTES)
    at = -1
    while (at := rest.find(b"\xff", at + 1)) >= 0:
        if (frame := _frame(rest[at : at + HEADER_BYTES])) is None:
            continue
        file.seek(begin + at + frame.size_bytes)
        following = file.read(HEADER_BYTES)
        if not following or _frame(following) is not None:
            file.seek(begin + at)
            return True
    return False


def _frames(file: BinaryIO) -> Iterator[Frame]:
    """The frames from here to the first bytes that are none, where the file is left."""
    position = file.tell()
    while frame := _frame(file.read(HEADER_BYTES)):
        if len(file.read(frame.size_bytes - HEADER_BYTES)) < frame.size_bytes - HEADER_BYTES:
            return
        position += frame.size_bytes
        yield frame
    file.seek(position)


def _stated_frames(file: BinaryIO) -> int | None:
    """How many frames the one that begins here says will follow it; None if it does not say."""
    first = file.read(TAG_REACH_BYTES)
    file.seek(-len(first), os.SEEK_CUR)
    for tag in (b"Xing", b"Info"):
        if (at := first.find(tag)) >= 0:
            flags, frames = (int.from_bytes(first[place : place + 4], "big") for place in (at + 4, at + 8))
            return frames if flags & 1 and frames else None
    if (at := first.find(b"VBRI")) >= 0:
        return int.from_bytes(first[at + 14 : at + 18], "big") or None
    return None


def _frame(start: bytes) -> Frame | None:
    """The Layer III frame with this header; None if it is none, or its bit rate is free."""
    header = int.from_bytes(start, "big")
    version, layer = header >> 19 & 3, header >> 17 & 3
    rate_index, hz_index, padding = header >> 12 & 15, header >> 10 & 3, header >> 9 & 1
    if header >> 21 != SYNC or version == 1 or layer != LAYER_3 or rate_index in (0, 15) or hz_index == 3:
        return None
    sample_rate = SAMPLE_RATES[version][hz_index]
    if version == VERSION_1:
        return Frame(144_000 * KBITS_1[rate_index] // sample_rate + padding, 1152, sample_rate)
    return Frame(72_000 * KBITS_2[rate_index] // sample_rate + padding, 576, sample_rate)
