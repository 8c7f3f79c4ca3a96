"""Examine one file and convert it: decoded once, block by block, in bounded memory."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from mert_fairseq import audio
from mert_fairseq.audio.mpeg import riff_mpeg_span
from mert_fairseq.preprocessing.audio_stats import FULL_SCALE_16_BIT, AudioStats, Limits
from mert_fairseq.preprocessing.completeness import container_fault
from mert_fairseq.preprocessing.reject_reasons import REMEDIES, Reason
from mert_fairseq.preprocessing.scan import Source
from mert_fairseq.preprocessing.signatures import CONTAINER_OF_EXTENSION, DECODABLE, UNDECODABLE, content_of

SPOOL_BYTES = 1 << 25  # 6 minutes at 24 kHz stay in memory between measuring and writing; longer files use the disk
DIGEST_BYTES = 16
SYSTEM_ERROR = 2  # libsndfile's SF_ERR_SYSTEM
BLOCK_SAMPLES = 1 << 16  # small enough to locate a failure to a second or two


@dataclass(frozen=True)
class Settings:
    """How all files of a run are checked and converted.

    Attributes:
        audio_dir: root of the sources.
        sample_rate: of training, in Hz.
        convert_to: folder of converted files, or None to use the sources as they are.
        file_format: of converted files, ``flac`` or ``wav``, 16 bits.
        limits: which audio is rejected.
    """

    audio_dir: Path
    sample_rate: int = 24_000
    convert_to: Path | None = None
    file_format: str = "flac"
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Track:
    """The result for one source; a line of the journal.

    Attributes:
        source: as found by the scan.
        destination: relative path of the converted file; None without conversion.
        reason: why it is rejected, or None.
        detail: what was found, as text.
        source_rate: in Hz.
        channels: of the source.
        seconds: of the source, as far as it decodes.
        samples: at the training rate.
        peak: largest magnitude of the mono signal at the training rate, before ``gain``.
        gain: factor by which a signal above full scale was scaled down, else 1.
        digest: of the 16-bit mono signal; equal for equal audio.
        converted_bytes: size of the converted file.
    """

    source: Source
    destination: str | None = None
    reason: Reason | None = None
    detail: str = ""
    source_rate: int = 0
    channels: int = 0
    seconds: float = 0.0
    samples: int = 0
    peak: float = 0.0
    gain: float = 1.0
    digest: str = ""
    converted_bytes: int = 0

    def to_json(self) -> str:
        """One line of ASCII."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, line: str) -> "Track":
        """Undo `to_json`; raises ValueError, KeyError or TypeError on anything else."""
        values = json.loads(line)
        reason = values.pop("reason")
        return cls(source=Source(**values.pop("source")), reason=Reason(reason) if reason else None, **values)


def examine(task: tuple[Source, str | None], settings: Settings) -> Track:
    """Check one source and, if it is accepted and the settings ask for it, convert it.

    The file is opened twice: by Python for the checks of its bytes, and by libsndfile for the header and the audio.

    Args:
        task: the source, and the path of its converted file below ``settings.convert_to``.

    Raises:
        OSError: if the converted file cannot be written; a full disk is not a fault of the track.
    """
    source, destination = task
    track = Track(source, destination)
    path = settings.audio_dir / source.path
    with ExitStack() as opened:
        try:
            if path.stat().st_size == 0:
                return replace(track, reason=Reason.EMPTY, detail="0 bytes")
            raw = opened.enter_context(path.open("rb"))
            fault = _fault_of_bytes(path, raw)
        except PermissionError as error:
            fault = Reason.NO_PERMISSION, str(error.strerror)
        except OSError as error:
            fault = Reason.UNREADABLE, str(error.strerror)
        if fault is not None:
            return replace(track, reason=fault[0], detail=fault[1])
        try:
            stream = opened.enter_context(audio.AudioStream(path, raw))
        except audio.AudioError as error:
            return replace(track, reason=_reason_of(error, Reason.UNDECODABLE), detail=_decoder_message(error))
        track = replace(track, source_rate=stream.info.sample_rate, channels=stream.info.channels)
        if settings.convert_to is None and stream.info.sample_rate != settings.sample_rate:
            detail = f"{stream.info.sample_rate} Hz, not {settings.sample_rate}; {REMEDIES[Reason.SAMPLE_RATE]}"
            return replace(track, reason=Reason.SAMPLE_RATE, detail=detail)
        return _decode(track, stream, settings)


def _fault_of_bytes(path: Path, raw: BinaryIO) -> tuple[Reason, str] | None:
    """What is wrong as far as it can be found without decoding, as (reason, detail), or None."""
    extension = path.suffix.lower()
    expected = CONTAINER_OF_EXTENSION.get(extension)
    found = content_of(raw)
    if found is not None and found != expected and not (expected == "mpeg" and riff_mpeg_span(raw) is not None):
        return Reason.WRONG_EXTENSION, f"named {extension or 'without an extension'}, but the content is {found}"
    if expected in UNDECODABLE:
        return Reason.NO_DECODER, f"{expected}: {REMEDIES[Reason.NO_DECODER]}"
    return container_fault(path, raw, found) if found in DECODABLE else None


def _decode(track: Track, stream: audio.AudioStream, settings: Settings) -> Track:
    """Decode the whole file, check it, and write it if the settings ask for it."""
    info = stream.info
    stats = AudioStats(info)
    blocks = audio.resample_blocks(_measured(stream, stats), info.sample_rate, settings.sample_rate)
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
    spool_dir = str(settings.convert_to) if settings.convert_to else None
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES, dir=spool_dir) as spool:
        samples, peak, failure, reason = 0, 0.0, "", Reason.TRUNCATED
        try:
            for block in blocks:
                samples += len(block)
                peak = max(peak, float(np.abs(block).max(initial=0.0)))
                if settings.convert_to is None:
                    hasher.update(audio.to_int16(block).astype("<i2").data)
                else:  # the gain is known only at the end of the file
                    spool.write(np.ascontiguousarray(block, dtype=np.float32).data)
        except audio.AudioError as error:
            failure, reason = _decoder_message(error), _reason_of(error, Reason.TRUNCATED)
        seconds = stats.samples / info.sample_rate
        track = replace(track, seconds=round(seconds, 3))
        if failure:
            stated = "" if info.samples == audio.UNKNOWN_SAMPLES else f" of {info.samples / info.sample_rate:.2f} s"
            detail = f"decodes up to {seconds:.2f} s{stated}: {failure}"
            return replace(track, reason=reason, detail=detail)
        if fault := stats.verdict(settings.limits):
            return replace(track, reason=fault[0], detail=fault[1])
        track = replace(track, samples=samples, peak=peak)
        if settings.convert_to is not None:
            spool.seek(0)
            track = _write(track, spool, settings, hasher.update)
        return replace(track, digest=hasher.hexdigest())


def _measured(stream: audio.AudioStream, stats: AudioStats) -> Iterator[np.ndarray]:
    """The mono blocks of a file, (n,) float32, measured; ends at the first block with NaN or infinity."""
    try:
        for block in stream.blocks(BLOCK_SAMPLES):
            mono = block.mean(axis=1) if block.shape[1] > 1 else block[:, 0]
            stats.update(block, mono)
            if stats.first_fault is not None:
                return
            yield mono
    except audio.AudioError as error:
        # The pages of an Ogg file were checked before. Their positions, the last of which is the stated length, can be
        # ahead of the audio.
        if stats.container != "OGG" or not isinstance(error, audio.TruncatedAudioError):
            raise


def _write(track: Track, signal: IO[bytes], settings: Settings, digest: Callable[[memoryview], None]) -> Track:
    """Write the mono float32 ``signal`` as 16 bits; if it goes above full scale, scale it down as a whole.

    Lossy decoders and resamplers overshoot with most loud masters; without scaling they would clip.
    """
    assert settings.convert_to is not None
    assert track.destination is not None
    gain = FULL_SCALE_16_BIT / track.peak if track.peak > 1.0 else 1.0

    def blocks() -> Iterator[np.ndarray]:
        while data := signal.read(BLOCK_SAMPLES * np.dtype(np.float32).itemsize):
            block = audio.to_int16(np.frombuffer(data, dtype=np.float32) * np.float32(gain))
            digest(block.astype("<i2").data)
            yield block

    target = settings.convert_to / track.destination
    target.parent.mkdir(parents=True, exist_ok=True)
    audio.write_blocks(target, blocks(), settings.sample_rate)
    return replace(track, gain=gain, converted_bytes=target.stat().st_size)


def _reason_of(error: audio.AudioError, otherwise: Reason) -> Reason:
    """UNREADABLE if the system failed to read the file, else ``otherwise``."""
    is_system_failure = isinstance(error.__cause__, OSError) or getattr(error.__cause__, "code", 0) == SYSTEM_ERROR
    return Reason.UNREADABLE if is_system_failure else otherwise


def _decoder_message(error: audio.AudioError) -> str:
    """The decoder's own message, without the path."""
    if error.__cause__ is None:
        return "the file ends there"
    return getattr(error.__cause__, "error_string", "") or str(error.__cause__)
