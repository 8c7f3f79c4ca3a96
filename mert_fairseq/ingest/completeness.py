"""Whether a file's bytes are all there, where the decoder does not tell: it shortens cut WAV and Ogg files in silence.

FLAC and MP3 need nothing here: their decoder stops early or stumbles, and the count of samples shows it. An MP3 without
a length header that was cut between two frames cannot be told from a shorter song.
"""

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from mert_fairseq.ingest.reasons import Reason

UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # what programs write that stream to a pipe
OGG_HEADER = struct.Struct("<4sBBqIIIB")  # magic, version, flags, granule, serial, sequence, checksum, segments
END_OF_STREAM = 0x04
REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def missing_bytes(path: Path, container: str) -> tuple[Reason, str] | None:
    """What a WAV or Ogg file lacks, as (reason, detail); None if it is whole or its container does not tell.

    Args:
        container: as `signatures.content_of` names it.

    Raises:
        OSError: if the file cannot be read.
    """
    size_bytes = path.stat().st_size
    with path.open("rb") as stream:
        if container == "wav":
            return _wav_shortage(stream, size_bytes)
        if container == "ogg":
            return _ogg_fault(stream, size_bytes)
    return None


def _wav_shortage(stream: BinaryIO, size_bytes: int) -> tuple[Reason, str] | None:
    """Compare the data chunk's declared size with what follows it."""
    if stream.read(4) != b"RIFF":  # RF64 keeps its sizes elsewhere, and its decoder checks them
        return None
    stream.seek(12)
    while len(header := stream.read(8)) == 8:
        name, declared = struct.unpack("<4sI", header)
        if name == b"data":
            present = size_bytes - stream.tell()
            if declared in UNKNOWN_SIZES or declared <= present:
                return None
            return Reason.TRUNCATED, f"the header declares {declared} bytes of audio, {present} are there"
        stream.seek(declared + declared % 2, 1)
    return Reason.TRUNCATED, "the file ends before its audio begins"


def _ogg_fault(stream: BinaryIO, size_bytes: int) -> tuple[Reason, str] | None:
    """Walk the pages: checksums, gaps in their numbers, and the end-of-stream mark of the last one."""
    sequence_of: dict[int, int] = {}
    open_serials: set[int] = set()
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
