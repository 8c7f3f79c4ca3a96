"""How long MPEG audio is, where its decoder guesses or believes too soon.

MPEG audio has no length field. Encoders of MP3 put one into a first frame of their own (Xing, Info or VBRI). libsndfile
knows the first two, in files that are not wrapped in a RIFF container. Elsewhere it takes the first frame's bit rate
for that of the whole file, tags and pictures included, and never decodes beyond its guess: of a 30 s file of variable
bit rate it gave 6 s. So such a file is handed to it behind a length frame that is made here, which states as many
frames as there are. With a stated length libsndfile stops there, though a second song may have been appended.
"""

import os
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mert_fairseq.audio.mpeg import (
    HEADER_BYTES,
    LAYER_3,
    VERSION_1,
    Frame,
    frames_from_here,
    mpeg_span,
    open_mpeg,
    parse_frame,
    riff_mpeg_span,
    seek_frame,
)
from mert_fairseq.audio.spliced import Part, SplicedFile

TAG_REACH_BYTES = 200  # from the first frame's start to the end of the length; side information comes before
XING_HAS_FRAMES = 1  # the flag that says that a number of frames follows
LARGEST_RATE_INDEX = 14  # a frame with room for the tag at every sample rate
MONO = 3


class LengthTag(NamedTuple):
    """The length that a first frame states.

    Attributes:
        frames: that follow it; 0 if it does not say.
        is_vbri: whether it is Fraunhofer's tag, which libsndfile does not know.
        place: of the number of frames in a Xing or Info tag, in bytes from the frame's start; None if it has none.
    """

    frames: int
    is_vbri: bool
    place: int | None


class Restated(NamedTuple):
    """A file to decode in place of one whose length its decoder would guess.

    Attributes:
        file: what libsndfile is given.
        samples: per channel, counted frame by frame; None if ``file`` states them.
    """

    file: SplicedFile
    samples: int | None


def restated(path: str | Path) -> Restated | None:
    """The MPEG audio of a file, so that its decoder knows its length and how to seek; None if it does already.

    It is taken out of a RIFF container, and gets a first frame that states the length where there is none that
    libsndfile knows. Reads through the file in bounded memory to count its frames. Layer II has no such frame: there
    the tags are left out, so that the guess is right if the bit rate is constant.

    Raises:
        OSError: if the file cannot be read.
    """
    with open_mpeg(path) as file:
        if (first := seek_frame(file)) is None:
            return None
        start = file.tell()
        tag = _length_tag(file) if first.layer == LAYER_3 else None
        if tag and tag.frames and not tag.is_vbri:
            if riff_mpeg_span(path) is None:
                return None
            return Restated(SplicedFile(path, [mpeg_span(path)[start:]]), None)
        head = file.read(first.size_bytes)
        if tag is None:
            file.seek(start)
        begin = file.tell()
        frames, samples, end = _count(file, begin)
    frames = tag.frames if tag and tag.frames else frames
    parts: list[Part] = [mpeg_span(path)[begin:end]]
    if first.layer == LAYER_3:
        parts.insert(0, _length_frame(head, first, tag, frames))
    return Restated(SplicedFile(path, parts), None if first.layer == LAYER_3 else samples)


def unreached_seconds(path: str | Path) -> float:
    """Seconds of the frames that come after as many as the first one states; 0 if it states no length.

    Raises:
        OSError: if the file cannot be read.
    """
    with open_mpeg(path) as file:
        first = seek_frame(file)
        if first is None or first.layer != LAYER_3 or not ((tag := _length_tag(file)) and tag.frames):
            return 0.0
        # the frame that states the length is no music
        return sum(
            frame.samples / frame.sample_rate
            for number, frame in enumerate(frames_from_here(file))
            if number > tag.frames
        )


def _count(file: BinaryIO, begin: int) -> tuple[int, int, int]:
    """Frames and samples from here on, and where the last frame ends."""
    frames, samples, end = 0, 0, begin
    for frame in frames_from_here(file):
        frames, samples, end = frames + 1, samples + frame.samples, file.tell()
    return frames, samples, end


def _length_tag(file: BinaryIO) -> LengthTag | None:
    """What the frame that begins here says of the length; None if it holds music."""
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
    """A frame that states the length: the file's own one with the number filled in, or a new one.

    Args:
        head: the first frame's bytes.
        first: what its header says.
        tag: what it states.
        frames: that follow.
    """
    number = frames.to_bytes(4, "big")
    if tag is not None and tag.place is not None:  # keeps the encoder's delay and padding, which are behind it
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
