"""Pages of Ogg files, as far as reading one without its end-of-stream mark needs them."""

import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from mert_fairseq.audio.spliced import SplicedFile

OGG_HEADER = struct.Struct("<4sBBqIIIB")  # magic, version, flags, granule, serial, sequence, checksum, segments
BEGIN_OF_STREAM = 0x02
END_OF_STREAM = 0x04
LARGEST_PAGE_BYTES = 65307
REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class LastPage(NamedTuple):
    """The page that a file ends with: where it begins, its bytes, its flags, its position in samples at the end."""

    begin: int
    content: bytes
    flags: int
    granule: int


def last_page(path: str | Path) -> LastPage | None:
    """Find the page that ends where the file does; None if there is none.

    Raises:
        OSError: if the file cannot be read.
    """
    with Path(path).open("rb") as file:
        size_bytes = file.seek(0, 2)
        file.seek(max(0, size_bytes - LARGEST_PAGE_BYTES))
        tail = file.read()
    at = len(tail)
    while (at := tail.rfind(b"OggS", 0, at)) >= 0:
        content = tail[at:]
        if len(content) < OGG_HEADER.size:
            continue
        _, _, flags, granule, _, _, _, segments = OGG_HEADER.unpack_from(content)
        if OGG_HEADER.size + segments + sum(content[OGG_HEADER.size : OGG_HEADER.size + segments]) == len(content):
            return LastPage(size_bytes - len(content), content, flags, granule)
    return None


def with_end_mark(path: str | Path) -> SplicedFile | None:
    """The file with an end-of-stream mark on its last page; None if it has one, or no page ends where the file does."""
    page = last_page(path)
    if page is None or page.flags & END_OF_STREAM:
        return None
    return _with_last_page(path, page, page.flags | END_OF_STREAM, page.granule)


def with_late_end(path: str | Path, samples: int) -> SplicedFile | None:
    """The file with an end that is stated ``samples`` later, so that all packets of the last page decode in full.

    None if no page ends where the file does, or no packet ends on it.
    """
    page = last_page(path)
    if page is None or page.granule < 0:
        return None
    return _with_last_page(path, page, page.flags & ~END_OF_STREAM, page.granule + samples)


def ogg_checksum(page: bytes) -> int:
    """Ogg's CRC-32 of a page whose checksum field is zero (RFC 3533: polynomial 0x04c11db7, initial value 0).

    zlib's CRC-32 has the same polynomial in the opposite bit order, so the page is mirrored bit by bit, and the result.
    """
    mirrored = zlib.crc32(page.translate(REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _with_last_page(path: str | Path, page: LastPage, flags: int, granule: int) -> SplicedFile:
    magic, version, _, _, serial, sequence, _, segments = OGG_HEADER.unpack_from(page.content)
    rest = page.content[OGG_HEADER.size :]

    def packed(checksum: int) -> bytes:
        return OGG_HEADER.pack(magic, version, flags, granule, serial, sequence, checksum, segments) + rest

    return SplicedFile(path, [range(page.begin), packed(ogg_checksum(packed(0)))])
