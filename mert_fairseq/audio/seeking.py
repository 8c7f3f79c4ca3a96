"""Where libsndfile must start decoding so that a span comes out as in a decode from the start, and in silence.

WAV, FLAC and Opus can be entered anywhere. MP3 and Vorbis can't; each case below was seen with libsndfile 1.2.2 and is
held by a test that compares spans with whole decodes.
"""

import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OGG_PAGE_BYTES = 65307  # the longest that the format allows
VORBIS_PAGE_SAMPLES = 255 * 4096  # one page holds at most 255 packets of half the longest block
MP3_NOISE = (b"[src/libmpg123", b"Note: ", b"Warning: Xing")


def preroll_samples(path: str | Path, kind: str, sample_rate: int, channels: int, start_samples: int, end: int) -> int:
    """Samples to decode and throw away before ``start_samples``.

    Args:
        path: the file.
        kind: format and subtype as audio.probe gives them, such as ``OGG/VORBIS``.
        sample_rate: in Hz.
        channels: of the file.
        start_samples: first sample that is wanted.
        end: samples in the file.
    """
    if "/MPEG" in kind:
        return min(start_samples, _mp3_preroll(sample_rate, channels))
    if kind == "OGG/VORBIS" and end - start_samples < VORBIS_PAGE_SAMPLES:
        return start_samples - min(start_samples, _last_vorbis_entry(path))
    return 0


def _mp3_preroll(sample_rate: int, channels: int) -> int:
    """How far back an MP3 frame can borrow bytes (the bit reservoir: 511 bytes, 255 below 32 kHz), in samples.

    A decoder that was sent to a frame lacks those bytes. The sample position is right, but in VBR files at 24 kHz up to
    9,600 samples were wrong. The bounds take the smallest legal frames, and two more for the overlap.
    """
    if sample_rate >= 32000:  # MPEG-1: 1152 samples a frame, 60 bytes of main data or more
        return 11 * 1152
    # MPEG-2 and 2.5 at 8 kbit/s: 576 samples a frame, 9 bytes of main data or more in mono, 3 in stereo
    return (31 if channels == 1 else 87) * 576


def _last_vorbis_entry(path: str | Path) -> int:
    """Last sample before the final page, the last place from which Vorbis decodes at the right position.

    The final page states where the stream ends, not where its last packet does, and a seek into the page takes the one
    for the other: 128 samples were off in a 24 kHz file.
    """
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        file.seek(max(0, size - 3 * OGG_PAGE_BYTES))
        tail = file.read()
    final = at = tail.rfind(b"OggS")
    while (at := tail.rfind(b"OggS", 0, max(at, 0))) >= 0:
        (granule,) = struct.unpack_from("<q", tail, at + 6)
        if at < final and granule > 0:  # -1: no packet ends on the page
            return granule - 1
    return 0


@contextmanager
def quiet_mpeg(is_mpeg: bool) -> Iterator[None]:
    """Keep off the standard error what the MP3 decoder itself prints there about the bytes that it lacks after a seek.

    They concern frames that are thrown away. What anything else writes meanwhile is passed on afterwards.

    Args:
        is_mpeg: whether the file is decoded by it; nothing happens else.
    """
    if not is_mpeg:
        yield
        return
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            caught.seek(0)
            for line in caught:
                if not line.startswith(MP3_NOISE):
                    os.write(2, line)
