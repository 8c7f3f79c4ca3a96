"""Read audio files: the header, a span, or the whole file in blocks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np
import soundfile

from mert_fairseq.audio.decoder import Decoder, decoder_of, open_decoder
from mert_fairseq.audio.mpeg import without_id3v2
from mert_fairseq.audio.seeking import preroll_samples, suppress_mpeg_messages
from mert_fairseq.audio.spliced import SplicedFile
from mert_fairseq.audio.write import to_int16
from mert_fairseq.frames import decoded_length_agrees

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3")
BLOCK_SAMPLES = 1 << 18
UNKNOWN_SAMPLES = 2**63 - 1  # libsndfile's length of a FLAC that was written to a pipe
MPEG_DELAY_SAMPLES = 5 * 1152  # the decoder's delay, and a cut last frame


class AudioError(ValueError):
    """A file cannot be read; the message names the file, what was found and the remedy."""


class TruncatedAudioError(AudioError):
    """A file decodes without an error, but not to the length that its header states."""


class AudioInfo(NamedTuple):
    """The header of a file.

    Attributes:
        sample_rate: in Hz.
        samples: per channel; UNKNOWN_SAMPLES if the header does not state it.
        channels: number of channels.
        format: libsndfile's name, such as ``FLAC/PCM_16``; that of the audio, so MPEG audio inside a WAV is
            ``MP3/MPEG_LAYER_III``.
    """

    sample_rate: int
    samples: int
    channels: int
    format: str


class AudioStream:
    """A file opened once, for its header and then its audio; use it in a ``with`` statement.

    Args:
        path: of the file.
        raw: the same file, if it is open already (see `decoder.open_decoder`).

    Raises:
        AudioError: if the file is missing, empty or in a format that libsndfile does not know.
    """

    def __init__(self, path: str | Path, raw: BinaryIO | None = None) -> None:
        self._path = path
        self._decoder = _open(path, raw)
        self.info = _info_of(self._decoder)

    def blocks(self, block_samples: int = BLOCK_SAMPLES) -> Iterator[np.ndarray]:
        """Decode the rest of the file as `stream_channels` does."""
        decoded = 0
        with _failures_as_audio_errors(self._path, self._decoder):
            while len(block := self._decoder.read(block_samples, dtype="float32", always_2d=True)):
                decoded += len(block)
                yield block
            _check_complete(self._path, self._decoder, decoded)

    def __enter__(self) -> "AudioStream":
        return self

    def __exit__(self, *error: object) -> None:
        self._decoder.close()


def probe(path: str | Path) -> AudioInfo:
    """Read the header; for MPEG audio that does not state its length, read the headers of all frames too.

    Raises:
        AudioError: if the file is missing, empty or in a format that libsndfile does not know.
    """
    with AudioStream(path) as stream:
        return stream.info


def read_span(
    path: str | Path,
    start_samples: int = 0,
    samples: int | None = None,
    dtype: Literal["int16", "float32"] = "int16",
    sample_rate: int | None = None,
) -> np.ndarray:
    """Decode a span, and nothing else of the file, at the file's own rate.

    Args:
        path: any file that libsndfile decodes.
        start_samples: first sample, at the file's rate.
        samples: length; None reads to the end.
        dtype: of the result.
        sample_rate: in Hz; if given, a file at another rate is an error.

    Returns:
        (samples,) mono, equal to the same span of a whole decode. Up to a tenth of a second that a
        lossy file lacks at its end (frames.lengths_agree) is filled with zeros.

    Raises:
        AudioError: if the file cannot be decoded, ends before the span does, holds NaN or has another rate.
    """
    with _open(path) as file, _failures_as_audio_errors(path, file):
        if sample_rate is not None and file.samplerate != sample_rate:
            raise AudioError(
                f"{path}: found {file.samplerate} Hz, expected {sample_rate} Hz. "
                f"Convert it (preprocess/make_manifest.py --convert-to DIR --sample-rate {sample_rate})."
            )
        found = file.samples
        to_the_end = samples is None
        if samples is None:
            samples = max(0, (count_samples(path) if found == UNKNOWN_SAMPLES else found) - start_samples)
        end, kind = start_samples + samples, _info_of(file).format
        if 0 <= start_samples <= min(found, end):
            wave = _decode_span(path, file, start_samples, samples, dtype)
            found = start_samples + len(wave)
            if found == end or decoded_length_agrees(found, end, file.samplerate, kind):
                missing = 0 if to_the_end else end - found
                return _checked(np.pad(wave, (0, missing)) if missing else wave, path, start_samples)
        raise AudioError(
            f"{path}: found {found} samples, expected samples {start_samples} to {end}. The "
            f"file is truncated, or changed since its manifest was made; replace it or make the manifest again."
        )


def stream_blocks(path: str | Path, block_samples: int = BLOCK_SAMPLES) -> Iterator[np.ndarray]:
    """Decode a whole file in bounded memory.

    Yields:
        (n,) float32 mono, n <= block_samples, at the file's own rate; NaN is kept for the caller to check.

    Raises:
        AudioError: if the file cannot be opened, or decoding fails.
        TruncatedAudioError: at the end, if the file is shorter than its header states (frames.decoded_length_agrees).
    """
    return (_mono(block) for block in stream_channels(path, block_samples))


def stream_channels(path: str | Path, block_samples: int = BLOCK_SAMPLES) -> Iterator[np.ndarray]:
    """Decode a whole file in bounded memory, without mixing its channels.

    Yields:
        (n, channels) float32, n <= block_samples, at the file's own rate; NaN is kept for the caller to check.

    Raises:
        AudioError: if the file cannot be opened, or decoding fails.
        TruncatedAudioError: at the end, if the file is shorter than its header states (frames.decoded_length_agrees).
    """
    with AudioStream(path) as stream:
        yield from stream.blocks(block_samples)


def _check_complete(path: str | Path, file: Decoder, decoded: int) -> None:
    if file.counted_samples is not None:
        if decoded < file.counted_samples - MPEG_DELAY_SAMPLES:
            cause = EOFError(f"decodes {decoded} of the {file.counted_samples} samples of its frames")
            raise AudioError(
                f"{path}: found {decoded} samples, expected about {file.counted_samples}, which its frames add up to. "
                f"Its bit rate varies, and its format does not state a length. Convert it: ffmpeg -i FILE FILE.flac."
            ) from cause
        return
    short = decoded < file.frames and not decoded_length_agrees(
        decoded, file.frames, file.samplerate, _info_of(file).format
    )
    if file.frames != UNKNOWN_SAMPLES and short:
        raise TruncatedAudioError(
            f"{path}: found {decoded} samples, expected the {file.frames} that its header states. The file is "
            f"truncated; fetch it again, keep what there is (ffmpeg -i FILE FILE.flac), or leave it out."
        )


def count_samples(path: str | Path) -> int:
    """Count the samples of a full decode, in bounded memory; for formats with unreliable headers, such as MP3."""
    return sum(len(block) for block in stream_blocks(path))


def decodable_samples(path: str | Path, source: SplicedFile) -> int:
    """Count the samples per channel that decode, ignoring the stated length, in bounded memory.

    Args:
        path: of the file, for messages.
        source: the bytes to decode in its place.

    Raises:
        AudioError: if the decoder cannot open it.
    """
    try:
        with decoder_of(source) as file:
            return sum(iter(lambda: len(file.read(BLOCK_SAMPLES)), 0))
    except soundfile.SoundFileError as error:
        raise AudioError(f"{path}: cannot be decoded ({error}).") from error


def _info_of(file: Decoder) -> AudioInfo:
    return AudioInfo(file.samplerate, file.samples, file.channels, f"{file.format}/{file.subtype}")


def _open(path: str | Path, raw: BinaryIO | None = None) -> Decoder:
    try:
        return open_decoder(path, raw)
    except (soundfile.SoundFileError, OSError, TypeError) as error:  # TypeError: a headerless .raw file
        raise _unreadable(path, error) from error


@contextmanager
def _failures_as_audio_errors(path: str | Path, file: Decoder) -> Iterator[None]:
    """Turn every failure to decode into an AudioError that names the file."""
    try:
        yield
    except (soundfile.SoundFileError, OSError, AudioError) as error:
        cause = (file.source and file.source.failure) or error
        if isinstance(cause, AudioError):
            raise
        raise _unreadable(path, cause) from cause


def _unreadable(path: str | Path, error: Exception) -> AudioError:
    if not Path(path).is_file():
        return AudioError(
            f"{path}: no such file. Check the manifest's first line, the folder that its paths are relative to."
        )
    if Path(path).stat().st_size == 0:
        return AudioError(f"{path}: the file is empty. Fetch it again or leave it out.")
    found = getattr(error, "error_string", error)  # without the path, which the message has
    return AudioError(
        f"{path}: cannot be decoded ({found}). Expected one of {', '.join(suffix[1:] for suffix in SUFFIXES)}: convert "
        f"it (ffmpeg -i FILE FILE.flac); if that fails too, fetch the file again or leave it out."
    )


def _mono(block: np.ndarray) -> np.ndarray:
    return block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)


def _checked(wave: np.ndarray, path: str | Path, start_samples: int) -> np.ndarray:
    if wave.dtype == np.float32 and not np.isfinite(wave.sum()) and not (finite := np.isfinite(wave)).all():
        raise AudioError(
            f"{path}: found NaN or infinity at sample {start_samples + int(np.argmin(finite))}, expected finite "
            f"samples. Make the file again or leave it out."
        )
    return wave


def _decode_span(path: str | Path, file: Decoder, start_samples: int, samples: int, dtype: str) -> np.ndarray:
    """Samples from ``start_samples`` on; fewer at the end of the file."""
    preroll = preroll_samples(path, _info_of(file).format, file.samplerate, file.channels, start_samples, file.frames)
    with suppress_mpeg_messages(file.subtype.startswith("MPEG")):
        try:
            file.seek(start_samples - preroll)
        except soundfile.SoundFileError:
            if file.format != "FLAC" or file.source is not None:
                raise
            # libsndfile cannot seek past a large tag
            with Path(path).open("rb") as raw, decoder_of(without_id3v2(raw)) as untagged:
                return _decode_span(path, untagged, start_samples, samples, dtype)
        if dtype == "int16" and file.subtype == "PCM_16" and file.channels == 1:
            return file.read(samples, dtype="int16")
        wave = _mono(file.read(preroll + samples, dtype="float32", always_2d=True))[preroll:]
    return to_int16(_checked(wave, path, start_samples)) if dtype == "int16" else wave
