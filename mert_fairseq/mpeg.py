"""How long an MP3 is, where its decoder guesses.

An MP3 has no length field. Encoders put one into a first frame of their own (Xing, Info or VBRI); without it libsndfile
takes the first frame's bit rate for that of the whole file, tags and pictures included, and never decodes beyond its
guess: of a 30 s file of variable bit rate it gave 6 s, and called a whole one of constant bit rate too short.
"""

import os
from pathlib import Path

LENGTH_TAGS = (b"Xing", b"Info", b"VBRI")
TAG_REACH_BYTES = 200  # from the first frame's start; side information comes before the tag
VERSION_1, VERSION_2, VERSION_2_5 = 3, 2, 0
LAYER_3 = 1
SAMPLE_RATES = {VERSION_1: (44100, 48000, 32000), VERSION_2: (22050, 24000, 16000), VERSION_2_5: (11025, 12000, 8000)}
KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
ID3_HEADER_BYTES = 10
HEADER_BYTES = 4
SYNC = 0x7FF


def unstated_samples(path: str | Path) -> int | None:
    """Samples of an MP3 that does not state its length, counted frame by frame; None if it states it.

    Counts up to the first bytes that are no frame, so that it never finds too many. Reads through the file in bounded
    memory.
    """
    with Path(path).open("rb") as file:
        file.seek(_end_of_id3(file.read(ID3_HEADER_BYTES)))
        first = file.read(TAG_REACH_BYTES)
        if any(tag in first for tag in LENGTH_TAGS):
            return None
        file.seek(-len(first), os.SEEK_CUR)
        samples = 0
        while frame := _frame(file.read(HEADER_BYTES)):
            size, length = frame
            if len(file.read(size - HEADER_BYTES)) < size - HEADER_BYTES:
                break
            samples += length
        return samples


def _end_of_id3(start: bytes) -> int:
    """First byte behind the ID3v2 tag; its size has 7 bits a byte."""
    if start[:3] != b"ID3" or len(start) < ID3_HEADER_BYTES:
        return 0
    size = sum((byte & 127) << shift for byte, shift in zip(start[6:10], (21, 14, 7, 0), strict=True))
    footer = ID3_HEADER_BYTES if start[5] & 16 else 0
    return ID3_HEADER_BYTES + size + footer


def _frame(start: bytes) -> tuple[int, int] | None:
    """Bytes and samples of the Layer III frame with this header; None if it is none, or its bit rate is free."""
    header = int.from_bytes(start, "big")
    version, layer = header >> 19 & 3, header >> 17 & 3
    rate_index, hz_index, padding = header >> 12 & 15, header >> 10 & 3, header >> 9 & 1
    if header >> 21 != SYNC or version == 1 or layer != LAYER_3 or rate_index in (0, 15) or hz_index == 3:
        return None
    sample_rate = SAMPLE_RATES[version][hz_index]
    if version == VERSION_1:
        return 144_000 * KBITS_1[rate_index] // sample_rate + padding, 1152
    return 72_000 * KBITS_2[rate_index] // sample_rate + padding, 576
