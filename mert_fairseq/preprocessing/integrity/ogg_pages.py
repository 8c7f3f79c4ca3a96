"""The pages of an Ogg file: checksums, gaps, the end mark, and a second stream behind the first."""

from pathlib import Path
from typing import BinaryIO

from mert_fairseq.audio import AudioError, decodable_samples, probe
from mert_fairseq.audio.ogg import BEGIN_OF_STREAM, END_OF_STREAM, OGG_HEADER, ogg_checksum, with_late_end
from mert_fairseq.preprocessing.integrity.reasons import Reason

LATE_SAMPLES = 1 << 20  # more than a packet holds
NO_END_MARK = "the last page does not end the stream; if it is the last one all the same: ffmpeg -i OLD -c copy NEW"


def ogg_fault(path: Path) -> tuple[Reason, str] | None:
    """What is wrong with the pages of a file, as (reason, detail), or None.

    Raises:
        OSError: if the file cannot be read.
    """
    with path.open("rb") as stream:
        fault = _fault_of_pages(stream, path.stat().st_size)
    return None if fault == (Reason.TRUNCATED, NO_END_MARK) and _ends_inside_a_packet(path) else fault


def _fault_of_pages(stream: BinaryIO, size_bytes: int) -> tuple[Reason, str] | None:
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
        return Reason.TRUNCATED, NO_END_MARK
    return None


def _ends_inside_a_packet(path: Path) -> bool:
    """Whether the last page states an end before that of its last packet, which only the last page of a stream does.

    Encoders pad the last packet. So a stream that lacks its end-of-stream mark alone differs from one that was cut
    between two pages, unless its length happens to be that of its packets.
    """
    late = with_late_end(path, LATE_SAMPLES)
    try:
        return late is not None and decodable_samples(late) > probe(path).samples
    except AudioError:
        return False
