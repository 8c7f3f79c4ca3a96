"""The pages of an Ogg file: checksums, gaps, the end mark, and a second stream behind the first."""

import struct
import zlib
from typing import BinaryIO

from mert_fairseq.preprocessing.integrity.reasons import Reason

OGG_HEADER = struct.Struct("<4sBBqIIIB")  # magic, version, flags, granule, serial, sequence, checksum, segments
BEGIN_OF_STREAM = 0x02
END_OF_STREAM = 0x04
REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def ogg_fault(stream: BinaryIO, size_bytes: int) -> tuple[Reason, str] | None:
    """What is wrong with the pages, as (reason, detail), or None."""
    sequence_of: dict[int, int] = {}
    open_serials: set[int] = set()
    has_begun = False  # streams that sound together all begin before any of them goes on
    while True:
        offset = stream.tell()
        header = stream.read(OGG_HEADER.size)
        if header[:4] != b"OggS" or len(header) < OGG_HEADER.size:
            break
        _, _, flags, _, serial, sequence, checksum, segments = OGG_HEADER.unpack(header)
        lacing = stream.read(segments)
        body_bytes = sum(lacing)
        if offset + len(header) + segments + body_bytes > size_bytes:
            return Reason.TRUNCATED, f"the file ends inside the page at byte {offset}"
        page = header[:22] + bytes(4) + header[26:] + lacing + stream.read(body_bytes)
        if ogg_checksum(page) != checksum:
            return Reason.DAMAGED, f"the page at byte {offset} of {size_bytes} fails its checksum"
        if flags & BEGIN_OF_STREAM and has_begun:
            return Reason.HIDDEN_AUDIO, f"a second stream begins at byte {offset} of {size_bytes}"
        has_begun = has_begun or not flags & BEGIN_OF_STREAM
        if sequence not in (0, sequence_of.get(serial, -1) + 1):
            return Reason.DAMAGED, f"pages are missing before byte {offset} of {size_bytes}"
        sequence_of[serial] = sequence
        if flags & END_OF_STREAM:
            open_serials.discard(serial)
        else:
            open_serials.add(serial)
    if open_serials:
        # Zeros or noise from here on break the chain of pages; a clean cut ends it.
        rest = size_bytes - offset
        if rest > 0:
            return Reason.DAMAGED, f"no page at byte {offset} of {size_bytes}, where one has to follow"
        return Reason.TRUNCATED, "the last page does not end the stream"
    return None


def ogg_checksum(page: bytes) -> int:
    """Ogg's CRC-32 of a page whose checksum field is zero (RFC 3533: polynomial 0x04c11db7, initial value 0).

    zlib's CRC-32 has the same polynomial in the opposite bit order, so the page is mirrored bit by bit, and the result.
    """
    mirrored = zlib.crc32(page.translate(REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
