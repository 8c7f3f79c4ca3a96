"""Where libsndfile must start decoding so that a span equals the same span of a whole decode.

In WAV, FLAC and Opus decoding can start anywhere; in MP3 and Vorbis it cannot. Each case below was observed with
libsndfile 1.2.2 and has a test that compares spans with whole decodes.
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
    """Samples to decode and discard before ``start_samples``.

    Args:
        path: the file.
        kind: format and subtype as in audio.AudioInfo, such as ``OGG/VORBIS``.
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

    After a seek to a frame the decoder lacks those bytes. The sample position is right, but in VBR files at 24 kHz up
    to 9,600 samples were wrong. The bounds assume the smallest legal frames, plus two frames for the overlap.
    """
    if sample_rate >= 32000:  # MPEG-1: 1152 samples a frame, 60 bytes of main data or more
        return 11 * 1152
    # MPEG-2 and 2.5 at 8 kbit/s: 576 samples a frame, 9 bytes of main data or more in mono, 3 in stereo
    return (31 if channels == 1 else 87) * 576


def _last_vorbis_entry(path: str | Path) -> int:
    """Last sample before the final page: the last place from which Vorbis decodes at the right position.

    The final page states the end of the stream, not the end of its last packet. A seek into that page confuses the two:
    the position was off by 128 samples in a 24 kHz file.
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
def suppress_mpeg_messages(is_mpeg: bool) -> Iterator[None]:
    """Suppress what the MP3 decoder prints to standard error about bytes that it lacks after a seek.

    The messages concern frames that are discarded. Other output to standard error is printed when the block ends.

    Args:
        is_mpeg: whether the file holds MPEG audio; if False, nothing is suppressed.
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
