"""Resample mono blocks, convert them to 16 bits, and write them to an audio file."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from mert_fairseq.files import replacing

FULL_SCALE = 32768.0


def resample_blocks(blocks: Iterable[np.ndarray], from_hz: int, to_hz: int) -> Iterator[np.ndarray]:
    """Resample a stream of mono float32 blocks with soxr at high quality; n samples become n * to / from, rounded."""
    if from_hz == to_hz:
        yield from blocks
        return
    stream = soxr.ResampleStream(from_hz, to_hz, num_channels=1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def write_blocks(path: str | Path, blocks: Iterable[np.ndarray], sample_rate: int, subtype: str = "PCM_16") -> int:
    """Write mono blocks to a file whose format follows from its suffix; it appears under its name only when whole.

    Args:
        path: ends in .wav or .flac (or .ogg and .mp3 with their own subtype).
        blocks: (n,) float32, clipped to 16 bits by to_int16 when ``subtype`` is PCM_16, or int16.
        sample_rate: in Hz.
        subtype: libsndfile's name of the encoding.

    Returns:
        Samples written.
    """
    path = Path(path)
    kind = {"OGA": "OGG", "OPUS": "OGG"}.get(path.suffix[1:].upper(), path.suffix[1:].upper())
    written = 0
    with (
        replacing(path) as partial,
        soundfile.SoundFile(os.fsencode(partial), "w", sample_rate, 1, format=kind, subtype=subtype) as file,
    ):
        for block in blocks:
            file.write(to_int16(block) if subtype == "PCM_16" and block.dtype != np.int16 else block)
            written += len(block)
    return written


def to_int16(wave: np.ndarray) -> np.ndarray:
    """Round float32 to 16 bits and clip; undoes ``wave / 32768``. libsndfile's own conversion wraps 1.5 to -0.5."""
    return np.clip(np.rint(wave * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
