"""MPEG audio (Layers II and III) as bytes: its place in a file, its frames, and the bytes between them.

The frames may start the file, follow tags, or lie inside a RIFF container.
"""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from mert_fairseq.audio.spliced import SplicedFile, size_of

VERSION_1, VERSION_2, VERSION_2_5 = 3, 2, 0
LAYER_2, LAYER_3 = 2, 1
SAMPLE_RATES = {VERSION_1: (44100, 48000, 32000), VERSION_2: (22050, 24000, 16000), VERSION_2_5: (11025, 12000, 8000)}
KBITS = {  # by (is MPEG-1, layer)
    (True, LAYER_2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, LAYER_3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, LAYER_2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, LAYER_3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
HEADER_BYTES = 4
SYNC = 0x7FF
SCAN_BYTES = 1 << 16  # padding or unknown bytes before a frame
ID3V1_BYTES = 128
ID3V2_HEADER_BYTES = 10
RIFF_MPEG_FORMATS = (0x50, 0x55)  # WAVE_FORMAT_MPEG (Layers I and II) and WAVE_FORMAT_MPEGLAYER3


class Frame(NamedTuple):
    """A frame: size in bytes with its header, samples, sample rate in Hz, and the layer as coded in the header."""

    size_bytes: int
    samples: int
    sample_rate: int
    layer: int


def riff_mpeg_span(file: BinaryIO) -> range | None:
    """Bytes of the MPEG audio in a RIFF file (a WAV of that encoding, or RIFF/RMP3); None for any other file.

    Raises:
        OSError: if the file cannot be read.
    """
    size_bytes = size_of(file)
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] not in (b"WAVE", b"RMP3"):
        return None
    is_mpeg = head[8:] == b"RMP3"
    while len(chunk := file.read(8)) == 8:
        name, declared = struct.unpack("<4sI", chunk)
        begin = file.tell()
        if name == b"data":
            return range(begin, min(begin + (declared or size_bytes), size_bytes)) if is_mpeg else None
        if name == b"fmt ":
            is_mpeg = int.from_bytes(file.read(2), "little") in RIFF_MPEG_FORMATS
        file.seek(begin + declared + declared % 2)
    return None


def mpeg_span(file: BinaryIO) -> range:
    """Bytes of a file of MPEG audio that hold tags and frames: the whole file, or the audio of a RIFF file."""
    return riff_mpeg_span(file) or range(size_of(file))


def open_span(file: BinaryIO, span: range) -> io.BufferedReader:
    """A view of some bytes of an open file, with positions from 0; ``file`` stays open when the view is closed."""
    return io.BufferedReader(SplicedFile(file, [span]))


def skip_id3v2(file: BinaryIO) -> int:
    """Seek past any ID3v2 tags that begin here; returns the number of bytes skipped."""
    begin = position = file.tell()
    while (start := file.read(ID3V2_HEADER_BYTES))[:3] == b"ID3" and len(start) == ID3V2_HEADER_BYTES:
        size = sum((byte & 127) << shift for byte, shift in zip(start[6:10], (21, 14, 7, 0), strict=True))
        footer = ID3V2_HEADER_BYTES if start[5] & 16 else 0
        position = file.seek(position + ID3V2_HEADER_BYTES + size + footer)
    file.seek(position)
    return position - begin


def without_id3v2(file: BinaryIO) -> SplicedFile:
    """A file of any format without the ID3v2 tags at its start."""
    file.seek(0)
    begin = skip_id3v2(file)
    return SplicedFile(file, [range(begin, size_of(file))])


def seek_frame(file: BinaryIO) -> Frame | None:
    """Seek to the next frame, past tags and up to SCAN_BYTES of other bytes; returns None if there is no frame.

    Bytes that look like a frame header count as one if the frame is followed by a header of the same kind, or by the
    end of the file.
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
    """Iterate over all frames up to the end of the file, past the bytes that `seek_frame` skips."""
    while seek_frame(file):
        position = file.tell()
        while frame := parse_frame(file.read(HEADER_BYTES)):
            if len(file.read(frame.size_bytes - HEADER_BYTES)) < frame.size_bytes - HEADER_BYTES:
                return
            position += frame.size_bytes
            yield frame
        file.seek(position)


def parse_frame(start: bytes) -> Frame | None:
    """Read a frame header; returns None if it is not one of Layer II or III, or if its bit rate is free."""
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
