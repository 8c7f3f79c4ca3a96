"""Whether a file holds all the audio that it declares, and no more, where the decoder does not report it.

The decoder shortens cut WAV, AIFF, AU and Ogg files without an error, and of joined files it may decode the first only.
FLAC and cut MP3 files need no check here: their decoder stops early or fails, and the number of samples shows it. An
MP3 without a length header that was cut at a frame cannot be told from a shorter song.
"""

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mert_fairseq.audio import AudioError, decodable_samples, probe
from mert_fairseq.audio.mpeg import riff_mpeg_span
from mert_fairseq.audio.mpeg_length import seconds_past_stated_length
from mert_fairseq.audio.ogg import BEGIN_OF_STREAM, END_OF_STREAM, read_pages, with_late_end
from mert_fairseq.audio.spliced import size_of
from mert_fairseq.preprocessing.reject_reasons import Reason

TOLERATED_SECONDS = 1.0  # after the length that an MP3 states: encoders miscount, and other bytes can look like frames
TOLERATED_REST_BYTES = 1 << 16  # tags and padding outside of chunks
LATE_SAMPLES = 1 << 20  # more than a packet holds
NO_END_MARK = "the last page does not end the stream; if it is the last one all the same: ffmpeg -i OLD -c copy NEW"
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


def container_fault(path: Path, stream: BinaryIO, container: str) -> tuple[Reason, str] | None:
    """Find missing, damaged or hidden audio in a file.

    Args:
        path: of the file.
        stream: the same file, open.
        container: as named by `signatures.content_of`.

    Returns:
        (reason, detail), or None if the file is complete or its container does not tell.

    Raises:
        OSError: if the file cannot be read.
    """
    if container == "ogg":
        fault = _ogg_fault(stream)
        return None if fault == (Reason.TRUNCATED, NO_END_MARK) and _ends_inside_a_packet(path, stream) else fault
    holds_riff_mpeg = riff_mpeg_span(stream) is not None
    if (container in ("wav", "aiff", "au", "w64") or holds_riff_mpeg) and (fault := _chunks_fault(stream)):
        return fault
    if container == "mpeg" or holds_riff_mpeg:
        seconds = seconds_past_stated_length(stream)
        if seconds > TOLERATED_SECONDS:
            return Reason.HIDDEN_AUDIO, f"{seconds:.1f} s follow the length that the first frame states"
    return None


def _ogg_fault(stream: BinaryIO) -> tuple[Reason, str] | None:
    """Check the pages: checksums, gaps, the end-of-stream mark, and a second stream after the first."""
    size_bytes, end = size_of(stream), 0
    sequence_of: dict[int, int] = {}
    open_serials: set[int] = set()
    has_begun = False  # parallel streams all begin before any of them continues
    for page in read_pages(stream):
        begin, end = page.begin, page.begin + page.size_bytes
        if end > size_bytes:
            return Reason.TRUNCATED, f"the file ends inside the page at byte {begin}"
        if not page.is_valid:
            return Reason.DAMAGED, f"the page at byte {begin} of {size_bytes} fails its checksum"
        if page.flags & BEGIN_OF_STREAM and has_begun:
            return Reason.HIDDEN_AUDIO, f"a second stream begins at byte {begin} of {size_bytes}"
        has_begun = has_begun or not page.flags & BEGIN_OF_STREAM
        if page.sequence not in (0, sequence_of.get(page.serial, -1) + 1):
            return Reason.DAMAGED, f"pages are missing before byte {begin} of {size_bytes}"
        sequence_of[page.serial] = page.sequence
        if page.flags & END_OF_STREAM:
            open_serials.discard(page.serial)
        else:
            open_serials.add(page.serial)
    if not open_serials:
        return None
    if end < size_bytes:  # zeros or noise in place of a page; a clean cut leaves no bytes
        return Reason.DAMAGED, f"no page at byte {end} of {size_bytes}, where one has to follow"
    return Reason.TRUNCATED, NO_END_MARK


def _ends_inside_a_packet(path: Path, stream: BinaryIO) -> bool:
    """Whether the last page states an end before the end of its last packet; only the last page of a stream does so.

    Encoders pad the last packet. So a stream that only lacks its end-of-stream mark differs from one that was cut
    between two pages, unless its length happens to be a whole number of packets.
    """
    late = with_late_end(stream, LATE_SAMPLES)
    try:
        return late is not None and decodable_samples(path, late) > probe(path).samples
    except AudioError:
        return False


class ChunkFormat(NamedTuple):
    """The chunks of a container.

    Attributes:
        first_byte: start of the first chunk.
        header: name and size of a chunk.
        audio: name of the chunk that holds the samples.
        align_bytes: a chunk starts at a multiple of it.
        counted_bytes: bytes of the header that the size includes.
    """

    first_byte: int
    header: struct.Struct
    audio: bytes
    align_bytes: int = 2
    counted_bytes: int = 0


CHUNK_FORMATS = {
    b"RIFF": ChunkFormat(12, struct.Struct("<4sI"), b"data"),
    b"RIFX": ChunkFormat(12, struct.Struct(">4sI"), b"data"),
    b"RF64": ChunkFormat(12, struct.Struct("<4sI"), b"data"),
    b"FORM": ChunkFormat(12, struct.Struct(">4sI"), b"SSND"),
    b"riff": ChunkFormat(40, struct.Struct("<16sQ"), W64_DATA, align_bytes=8, counted_bytes=24),
}


def _chunks_fault(stream: BinaryIO) -> tuple[Reason, str] | None:
    """Compare the declared and the actual size of the audio in WAV, AIFF and AU files.

    libsndfile shortens a cut file without an error, and does not read beyond the declared size. That size has 32 bits
    in most of these formats, so of a WAV beyond 4 GiB only the remainder would be decoded.
    """
    size_bytes = size_of(stream)
    stream.seek(0)
    head = stream.read(40).ljust(40, b"\0")
    if head[:4] == b".snd":
        offset, declared = struct.unpack_from(">II", head, 4)
        return _size_fault(declared, size_bytes - offset, size_bytes - offset - declared)
    chunks = CHUNK_FORMATS[head[:4]]
    position = chunks.first_byte
    while (chunk := _chunk(stream, size_bytes, chunks, position)) is not None:
        name, declared = chunk
        begin = position + chunks.header.size
        if name == chunks.audio:
            if head[:4] == b"RF64" and declared == 0xFFFFFFFF:
                (declared,) = struct.unpack_from("<Q", head, 28)  # in the ds64 chunk, which comes first
            ends = {_aligned(begin + declared, chunks), begin + declared}  # some programs forget to pad
            rest_bytes = min(size_bytes - _end_of_chunks(stream, size_bytes, chunks, end) for end in ends)
            return _size_fault(declared, size_bytes - begin, rest_bytes)
        position = _aligned(begin + declared, chunks)
    return Reason.TRUNCATED, "the file ends before its audio begins"


def _size_fault(declared: int, present: int, rest_bytes: int) -> tuple[Reason, str] | None:
    """Compare the declared and present bytes of audio; ``rest_bytes`` follow the audio and are part of no chunk."""
    if declared > present and not _is_unknown_size(declared):
        return Reason.TRUNCATED, f"the header declares {declared} bytes of audio, {present} are there"
    if 0 < declared < present and rest_bytes > TOLERATED_REST_BYTES:
        return Reason.HIDDEN_AUDIO, f"the header declares {declared} bytes of audio, {rest_bytes} more follow"
    return None


def _is_unknown_size(declared: int) -> bool:
    """Whether a program that wrote to a pipe put this in place of the size: the largest number, or about 2 GiB."""
    return declared == 0xFFFFFFFF or 0x7F000000 <= declared <= 0x80000000 or declared >= 2**63 - 1


def _chunk(stream: BinaryIO, size_bytes: int, chunks: ChunkFormat, position: int) -> tuple[bytes, int] | None:
    """Name and size, without the header, of the chunk at a position; None at the file's end or for an invalid size."""
    if position + chunks.header.size > size_bytes:
        return None
    stream.seek(position)
    name, size = chunks.header.unpack(stream.read(chunks.header.size))
    return (name, size - chunks.counted_bytes) if size >= chunks.counted_bytes else None


def _end_of_chunks(stream: BinaryIO, size_bytes: int, chunks: ChunkFormat, position: int) -> int:
    """First byte at or after ``position`` that is part of no chunk."""
    while (chunk := _chunk(stream, size_bytes, chunks, position)) is not None:
        name, declared = chunk
        end = position + chunks.header.size + declared
        is_name = name[:4].isascii() and name[:4].decode().isprintable() and name[:4] not in CHUNK_FORMATS
        if not is_name or end > size_bytes:
            break
        position = _aligned(end, chunks)
    return min(position, size_bytes)


def _aligned(position: int, chunks: ChunkFormat) -> int:
    return -(-position // chunks.align_bytes) * chunks.align_bytes
