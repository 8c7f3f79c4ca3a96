"""Audio files: read a header, a span or blocks; resample and write. Nothing else in the package opens audio.

All results are mono (the mean of the channels), except those of `stream_channels`. Samples are float32 in [-1, 1], or
beyond it where a lossy decoder overshoots; or int16, where 1.0 is 32768 and larger values are clipped. 16-bit mono
files pass as int16 without loss.

`read` and `write` are the interface. The other modules correct what libsndfile does with MPEG and Ogg files.
"""

from mert_fairseq.audio.read import (
    SUFFIXES,
    UNKNOWN_SAMPLES,
    AudioError,
    AudioInfo,
    AudioStream,
    TruncatedAudioError,
    count_samples,
    decodable_samples,
    probe,
    read_span,
    stream_blocks,
    stream_channels,
)
from mert_fairseq.audio.write import FULL_SCALE, resample_blocks, to_int16, write_blocks

__all__ = [
    "FULL_SCALE",
    "SUFFIXES",
    "UNKNOWN_SAMPLES",
    "AudioError",
    "AudioInfo",
    "AudioStream",
    "TruncatedAudioError",
    "count_samples",
    "decodable_samples",
    "probe",
    "read_span",
    "resample_blocks",
    "stream_blocks",
    "stream_channels",
    "to_int16",
    "write_blocks",
]
