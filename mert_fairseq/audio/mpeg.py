"""MPEG audio as bytes: where it lies in a file, its frames, and what stands between them.

Layers II and III; a file holds the frames as they are, behind tags, or wrapped in a RIFF container.
"""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mert_fairseq.audio.spliced import SplicedFile

VERSION_1, VERSION_2, VERSION_2_5 = 3, 2, 0
LAYER_2, LAYER_3 = 2, 1
SAMPLE_RATES = {VERSION_1: (44100, 48000, 32000), VERSION_2: (22050, 24000, 16000), VERSION_2_5: (11025, 12000, 8000)}
KBITS = {  # by whether it is MPEG-1, and the layer
    (True, LAYER_2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, LAYER_3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, LAYER_2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, LAYER_3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
HEADER_BYTES = 4
SYNC = 0x7FF
SCAN_BYTES = 1 << 16  # of padding or rubbish before a frame
ID3V1_BYTES = 128
ID3V2_HEADER_BYTES = 10
RIFF_MPEG_FORMATS = (0x50, 0x55)  # WAVE_FORMAT_MPEG (Layers I and II) and WAVE_FORMAT_MPEGLAYER3


class Frame(NamedTuple):
    """A frame: its bytes with the header, its samples, its rate in Hz, its layer as the header has it."""

    size_bytes: int
    samples: int
    sample_rate: int
    layer: int


def riff_mpeg_span(path: str | Path) -> range | None:
    """Where the MPEG audio of a RIFF file lies: a WAV of that encoding, or RIFF/RMP3; None if it is neither.

    Raises:
        OSError: if the file cannot be read.
    """
    with Path(path).open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] not in (b"WAVE", b"RMP3"):
            return None
        is_mpeg = head[8:] == b"RMP3"
        size_bytes = Path(path).stat().st_size
        while len(chunk := file.read(8)) == 8:
            name, declared = struct.unpack("<4sI", chunk)
            begin = file.tell()
            if name == b"data":
                return range(begin, min(begin + (declared or size_bytes), size_bytes)) if is_mpeg else None
            if name == b"fmt ":
                is_mpeg = int.from_bytes(file.read(2), "little") in RIFF_MPEG_FORMATS
            file.seek(begin + declared + declared % 2)
    return None


def mpeg_span(path: str | Path) -> range:
    """The bytes of a file of MPEG audio that hold tags and frames: all of them, or the audio of a RIFF file."""
    return riff_mpeg_span(path) or range(Path(path).stat().st_size)


def open_mpeg(path: str | Path) -> io.BufferedReader:
    """Open the bytes of `mpeg_span`, from 0 on."""
    return io.BufferedReader(SplicedFile(path, [mpeg_span(path)]))


def skip_id3v2(file: BinaryIO) -> int:
    """Seek behind the ID3v2 tags, one or several, that begin here; returns the bytes skipped."""
    begin = position = file.tell()
    while (start := file.read(ID3V2_HEADER_BYTES))[:3] == b"ID3" and len(start) == ID3V2_HEADER_BYTES:
        size = sum((byte & 127) << shift for byte, shift in zip(start[6:10], (21, 14, 7, 0), strict=True))
        footer = ID3V2_HEADER_BYTES if start[5] & 16 else 0
        position = file.seek(position + ID3V2_HEADER_BYTES + size + footer)
    file.seek(position)
    return position - begin


def without_id3v2(path: str | Path) -> SplicedFile:
    """A file, of whatever format, less the ID3v2 tags in front."""
    with Path(path).open("rb") as file:
        return SplicedFile(path, [range(skip_id3v2(file), Path(path).stat().st_size)])


def seek_frame(file: BinaryIO) -> Frame | None:
    """Seek to the next frame, behind tags and up to SCAN_BYTES of anything else; None if there is none.

    Bytes that look like a header are believed if one of the same kind follows where the frame ends, or the file ends
    there.
    """
    begin = file.tell()
    file.seek(begin + ID3V1_BYTES if file.read(3) == b"TAG" else begin)
    skip_id3v2(file)
    begin = file.tell()
    rest = file.read(SCAN_BYTES)
    at = -1
    while (at := rest.find(b"\xff", at + 1)) >= 0:
        if (frame := parse_frame(rest[at : at + HEADER_BYTES])) is None:
            continue
        file.seek(begin + at + frame.size_bytes)
        following = file.read(HEADER_BYTES)
        if not following or ((second := parse_frame(following)) and second[1:] == frame[1:]):
            file.seek(begin + at)
            return frame
    return None


def frames_from_here(file: BinaryIO) -> Iterator[Frame]:
    """All frames up to the end of the file, across whatever `seek_frame` skips."""
    while seek_frame(file):
        position = file.tell()
        while frame := parse_frame(file.read(HEADER_BYTES)):
            if len(file.read(frame.size_bytes - HEADER_BYTES)) < frame.size_bytes - HEADER_BYTES:
                return
            position += frame.size_bytes
            yield frame
        file.seek(position)


def parse_frame(start: bytes) -> Frame | None:
    """The frame with this header; None if it is no header of Layer II or III, or its bit rate is free."""
    header = int.from_bytes(start, "big")
    version, layer = header >> 19 & 3, header >> 17 & 3
    rate_index, hz_index, padding = header >> 12 & 15, header >> 10 & 3, header >> 9 & 1
    if header >> 21 != SYNC or version == 1 or layer not in (LAYER_2, LAYER_3):
        return None
    if rate_index in (0, 15) or hz_index == 3:
        return None
    sample_rate = SAMPLE_RATES[version][hz_index]
    samples = 576 if layer == LAYER_3 and version != VERSION_1 else 1152
    bits_per_second = 1000 * KBITS[version == VERSION_1, layer][rate_index]
    return Frame(samples // 8 * bits_per_second // sample_rate + padding, samples, sample_rate, layer)
