"""The length of MPEG audio, where libsndfile would guess it.

MPEG audio has no length field. MP3 encoders state the length in an extra first frame (Xing, Info or VBRI). libsndfile
reads Xing and Info, and only in files without a RIFF container. For other files it applies the bit rate of the first
frame to the whole file, including tags and pictures, and never decodes beyond that guess: it decoded 6 s of a 30 s file
of variable bit rate. This module counts the frames of such a file and puts a first frame with that number in front.
libsndfile stops at a stated length even if a second song follows.
"""

import os
from typing import BinaryIO, NamedTuple

from mert_fairseq.audio.mpeg import (
    HEADER_BYTES,
    LAYER_3,
    VERSION_1,
    Frame,
    frames_from_here,
    mpeg_span,
    open_span,
    parse_frame,
    riff_mpeg_span,
    seek_frame,
)
from mert_fairseq.audio.spliced import Part, SplicedFile

TAG_REACH_BYTES = 200  # from the start of the first frame to the end of the length, side information included
XING_HAS_FRAMES = 1  # flag: a number of frames follows
LARGEST_RATE_INDEX = 14  # its frame has room for the tag at every sample rate
MONO = 3


class LengthTag(NamedTuple):
    """The length that a first frame states.

    Attributes:
        frames: number of frames that follow it; 0 if it is not stated.
        is_vbri: whether it is Fraunhofer's tag, which libsndfile does not read.
        place: byte of the number of frames in a Xing or Info tag, from the frame's start; None if it has none.
    """

    frames: int
    is_vbri: bool
    place: int | None


class Substitute(NamedTuple):
    """Bytes to decode in place of a file.

    Attributes:
        file: the bytes for libsndfile.
        samples: per channel, counted frame by frame; None if ``file`` states its length.
    """

    file: SplicedFile
    samples: int | None


def with_stated_length(raw: BinaryIO) -> Substitute | None:
    """The MPEG audio of a file with its length stated, so that libsndfile decodes and seeks correctly.

    The audio is taken out of a RIFF container. If it has no first frame with a length that libsndfile reads, it gets
    one; for this the file is read once in bounded memory and its frames counted. Layer II has no such frame: there the
    tags are left out, so that libsndfile's guess is right if the bit rate is constant.

    Returns:
        The substitute, or None if the file can be decoded as it is.

    Raises:
        OSError: if the file cannot be read.
    """
    span, is_wrapped = mpeg_span(raw), riff_mpeg_span(raw) is not None
    with open_span(raw, span) as file:
        if (first := seek_frame(file)) is None:
            return None
        start = file.tell()
        tag = _length_tag(file) if first.layer == LAYER_3 else None
        if tag and tag.frames and not tag.is_vbri:
            return Substitute(SplicedFile(raw, [span[start:]]), None) if is_wrapped else None
        head = file.read(first.size_bytes)
        if tag is None:
            file.seek(start)
        begin = file.tell()
        frames, samples, end = _count(file, begin)
    frames = tag.frames if tag and tag.frames else frames
    parts: list[Part] = [span[begin:end]]
    if first.layer == LAYER_3:
        parts.insert(0, _length_frame(head, first, tag, frames))
    return Substitute(SplicedFile(raw, parts), None if first.layer == LAYER_3 else samples)


def seconds_past_stated_length(raw: BinaryIO) -> float:
    """Seconds of audio after the length that the first frame states; 0 if no length is stated.

    Raises:
        OSError: if the file cannot be read.
    """
    with open_span(raw, mpeg_span(raw)) as file:
        first = seek_frame(file)
        if first is None or first.layer != LAYER_3 or not ((tag := _length_tag(file)) and tag.frames):
            return 0.0
        # the frame that states the length holds no music
        return sum(
            frame.samples / frame.sample_rate
            for number, frame in enumerate(frames_from_here(file))
            if number > tag.frames
        )


def _count(file: BinaryIO, begin: int) -> tuple[int, int, int]:
    """Count frames and samples from here; returns both, and the byte where the last frame ends."""
    frames, samples, end = 0, 0, begin
    for frame in frames_from_here(file):
        frames, samples, end = frames + 1, samples + frame.samples, file.tell()
    return frames, samples, end


def _length_tag(file: BinaryIO) -> LengthTag | None:
    """Read the length that the frame at this position states; returns None if the frame holds music."""
    first = file.read(TAG_REACH_BYTES)
    file.seek(-len(first), os.SEEK_CUR)
    for name in (b"Xing", b"Info"):
        if (at := first.find(name)) >= 0:
            flags, frames = (int.from_bytes(first[place : place + 4], "big") for place in (at + 4, at + 8))
            return LengthTag(frames, False, at + 8) if flags & XING_HAS_FRAMES else LengthTag(0, False, None)
    if (at := first.find(b"VBRI")) >= 0:
        return LengthTag(int.from_bytes(first[at + 14 : at + 18], "big"), True, None)
    return None


def _length_frame(head: bytes, first: Frame, tag: LengthTag | None, frames: int) -> bytes:
    """A frame that states the length: the first frame of the file with the number filled in, or a new one.

    Args:
        head: bytes of the first frame.
        first: its header.
        tag: the length tag in it.
        frames: number of frames that follow.
    """
    number = frames.to_bytes(4, "big")
    if tag is not None and tag.place is not None:  # keeps the encoder's delay and padding, which follow it
        return head[: tag.place] + number + head[tag.place + 4 :]
    header = bytearray(head[:HEADER_BYTES])
    header[1] |= 1  # no checksum
    header[2] = header[2] & 0x0C | LARGEST_RATE_INDEX << 4
    frame = parse_frame(bytes(header))
    assert frame is not None
    is_mono, is_version_1 = header[3] >> 6 == MONO, header[1] >> 3 & 3 == VERSION_1
    side_bytes = {(True, True): 17, (True, False): 32, (False, True): 9, (False, False): 17}[is_version_1, is_mono]
    tag_bytes = b"Xing" + XING_HAS_FRAMES.to_bytes(4, "big") + number
    return (bytes(header) + bytes(side_bytes) + tag_bytes).ljust(frame.size_bytes, b"\0")
