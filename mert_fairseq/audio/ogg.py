"""Ogg files page by page: reading pages, their checksums, and files with another last page.

Source: RFC 3533. libsndfile does not decode the last page of an Opus file without an end-of-stream mark;
`with_end_mark` adds the mark.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from mert_fairseq.audio.spliced import SplicedFile, size_of

OGG_HEADER = struct.Struct("<4sBBqIIIB")  # magic, version, flags, granule, serial, sequence, checksum, segments
BEGIN_OF_STREAM = 0x02
END_OF_STREAM = 0x04
LARGEST_PAGE_BYTES = 65307
REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class OggPage(NamedTuple):
    """A page of an Ogg file.

    Attributes:
        begin: byte at which it begins.
        size_bytes: by its header; the file may end before.
        content: its bytes, as far as the file has them.
        flags: such as END_OF_STREAM.
        granule: position in samples at its end; -1 if no packet ends on it.
        serial: number of its stream.
        sequence: its number in the stream.
        checksum: as stored.
    """

    begin: int
    size_bytes: int
    content: bytes
    flags: int
    granule: int
    serial: int
    sequence: int
    checksum: int

    @property
    def is_valid(self) -> bool:
        """Whether the stored checksum is that of the content."""
        return ogg_checksum(self.content[:22] + bytes(4) + self.content[26:]) == self.checksum


def parse_page(content: bytes, begin: int) -> OggPage | None:
    """Read the page at the start of ``content``, or return None if there is no page.

    Args:
        content: bytes from the page's start; may be longer than the page.
        begin: where the page begins in the file.
    """
    if content[:4] != b"OggS" or len(content) < OGG_HEADER.size:
        return None
    _, _, flags, granule, serial, sequence, checksum, segments = OGG_HEADER.unpack_from(content)
    head_bytes = OGG_HEADER.size + segments
    size_bytes = head_bytes + sum(content[OGG_HEADER.size : head_bytes])
    return OggPage(begin, size_bytes, content[:size_bytes], flags, granule, serial, sequence, checksum)


def read_pages(file: BinaryIO) -> Iterator[OggPage]:
    """Iterate over the pages from the start of a file up to the first place where no page begins."""
    file.seek(0)
    begin = 0
    while (header := file.read(OGG_HEADER.size))[:4] == b"OggS" and len(header) == OGG_HEADER.size:
        lacing = file.read(header[-1])
        page = parse_page(header + lacing + file.read(sum(lacing)), begin)
        assert page is not None
        yield page
        begin += page.size_bytes


def last_page(file: BinaryIO) -> OggPage | None:
    """Find the page that ends where the file ends, or return None."""
    size_bytes = size_of(file)
    first = max(0, size_bytes - LARGEST_PAGE_BYTES)
    file.seek(first)
    tail = file.read()
    at = len(tail)
    while (at := tail.rfind(b"OggS", 0, at)) >= 0:
        page = parse_page(tail[at:], first + at)
        if page is not None and page.begin + page.size_bytes == size_bytes:
            return page
    return None


def with_end_mark(file: BinaryIO) -> SplicedFile | None:
    """The file with an end-of-stream mark on its last page; None if it has one, or no page ends where the file ends."""
    page = last_page(file)
    if page is None or page.flags & END_OF_STREAM:
        return None
    return _with_last_page(file, page, page.flags | END_OF_STREAM, page.granule)


def with_late_end(file: BinaryIO, samples: int) -> SplicedFile | None:
    """The file with its stated end moved ``samples`` later, so that all packets of the last page decode in full.

    Returns None if no page ends at the file's end, or if no packet ends on that page.
    """
    page = last_page(file)
    if page is None or page.granule < 0:
        return None
    return _with_last_page(file, page, page.flags & ~END_OF_STREAM, page.granule + samples)


def ogg_checksum(page: bytes) -> int:
    """Ogg's CRC-32 of a page whose checksum field is zero (RFC 3533: polynomial 0x04c11db7, initial value 0).

    zlib's CRC-32 has the same polynomial in the opposite bit order, so the bits of the page and of the result are
    reversed.
    """
    mirrored = zlib.crc32(page.translate(REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _with_last_page(file: BinaryIO, page: OggPage, flags: int, granule: int) -> SplicedFile:
    magic, version, _, _, serial, sequence, _, segments = OGG_HEADER.unpack_from(page.content)
    rest = page.content[OGG_HEADER.size :]

    def packed(checksum: int) -> bytes:
        return OGG_HEADER.pack(magic, version, flags, granule, serial, sequence, checksum, segments) + rest

    return SplicedFile(file, [range(page.begin), packed(ogg_checksum(packed(0)))])
