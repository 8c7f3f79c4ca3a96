"""How much audio a file of chunks declares, and how much is there: WAV in all its kinds, AIFF and AU.

libsndfile shortens a cut file in silence, and does not read beyond the declared size, which has 32 bits in most of
these formats: of a WAV beyond 4 GiB only the remainder is left.
"""

import struct
from typing import BinaryIO, NamedTuple

from mert_fairseq.preprocessing.integrity.reasons import Reason

TOLERATED_REST_BYTES = 1 << 16  # tags and padding that are no chunks
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


class Layout(NamedTuple):
    """How a container's chunks lie.

    Attributes:
        first_byte: where the first one begins.
        header: name and size of each.
        audio: name of the one that holds the samples.
        align_bytes: each begins at a multiple of it.
        counted_bytes: of the header that the size counts.
    """

    first_byte: int
    header: struct.Struct
    audio: bytes
    align_bytes: int = 2
    counted_bytes: int = 0


LAYOUTS = {
    b"RIFF": Layout(12, struct.Struct("<4sI"), b"data"),
    b"RIFX": Layout(12, struct.Struct(">4sI"), b"data"),
    b"RF64": Layout(12, struct.Struct("<4sI"), b"data"),
    b"FORM": Layout(12, struct.Struct(">4sI"), b"SSND"),
    b"riff": Layout(40, struct.Struct("<16sQ"), W64_DATA, align_bytes=8, counted_bytes=24),
}


def chunks_fault(stream: BinaryIO, size_bytes: int) -> tuple[Reason, str] | None:
    """What is wrong with the size of a file's audio, as (reason, detail); None if it is right, or not known."""
    head = stream.read(40).ljust(40, b"\0")
    if head[:4] == b".snd":
        offset, declared = struct.unpack_from(">II", head, 4)
        return _fault(declared, size_bytes - offset, size_bytes - offset - declared)
    layout = LAYOUTS[head[:4]]
    position = layout.first_byte
    while (chunk := _chunk(stream, size_bytes, layout, position)) is not None:
        name, declared = chunk
        begin = position + layout.header.size
        if name == layout.audio:
            if head[:4] == b"RF64" and declared == 0xFFFFFFFF:
                (declared,) = struct.unpack_from("<Q", head, 28)  # ds64 comes first: its head, the file's size, this
            ends = {_aligned(begin + declared, layout), begin + declared}  # some programs forget to pad
            rest_bytes = min(size_bytes - _end_of_chunks(stream, size_bytes, layout, end) for end in ends)
            return _fault(declared, size_bytes - begin, rest_bytes)
        position = _aligned(begin + declared, layout)
    return Reason.TRUNCATED, "the file ends before its audio begins"


def _fault(declared: int, present: int, rest_bytes: int) -> tuple[Reason, str] | None:
    """Compare bytes of audio, and what is left behind it and all other chunks."""
    if declared > present and not _is_of_a_pipe(declared):
        return Reason.TRUNCATED, f"the header declares {declared} bytes of audio, {present} are there"
    if 0 < declared < present and rest_bytes > TOLERATED_REST_BYTES:
        return Reason.HIDDEN_AUDIO, f"the header declares {declared} bytes of audio, {rest_bytes} more follow"
    return None


def _is_of_a_pipe(declared: int) -> bool:
    """Whether a size is what programs write that cannot know it: the largest; sox and arecord about 2 GiB."""
    return declared == 0xFFFFFFFF or 0x7F000000 <= declared <= 0x80000000 or declared >= 2**63 - 1


def _chunk(stream: BinaryIO, size_bytes: int, layout: Layout, position: int) -> tuple[bytes, int] | None:
    """Name, and size without the header, of the chunk at a byte; None at the file's end or if the size cannot be."""
    if position + layout.header.size > size_bytes:
        return None
    stream.seek(position)
    name, size = layout.header.unpack(stream.read(layout.header.size))
    return (name, size - layout.counted_bytes) if size >= layout.counted_bytes else None


def _end_of_chunks(stream: BinaryIO, size_bytes: int, layout: Layout, position: int) -> int:
    """First byte from ``position`` on that is part of no chunk."""
    while (chunk := _chunk(stream, size_bytes, layout, position)) is not None:
        name, declared = chunk
        end = position + layout.header.size + declared
        if not name[:4].isascii() or not name[:4].decode().isprintable() or name[:4] in LAYOUTS or end > size_bytes:
            break
        position = _aligned(end, layout)
    return min(position, size_bytes)


def _aligned(position: int, layout: Layout) -> int:
    return -(-position // layout.align_bytes) * layout.align_bytes
