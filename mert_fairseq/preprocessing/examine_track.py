"""One file from source to verdict, and to a converted file: decoded once, block by block, in bounded memory."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO

import numpy as np

from mert_fairseq import audio
from mert_fairseq.audio.mpeg import riff_mpeg_span
from mert_fairseq.preprocessing.audio_stats import FULL_SCALE_16_BIT, Limits, Meter
from mert_fairseq.preprocessing.integrity.completeness import container_fault
from mert_fairseq.preprocessing.integrity.reasons import REMEDIES, Reason
from mert_fairseq.preprocessing.integrity.signatures import CONTAINER_OF_EXTENSION, DECODABLE, UNDECODABLE, content_of
from mert_fairseq.preprocessing.scan import Source

SPOOL_BYTES = 1 << 25  # 6 minutes at 24 kHz stay in memory between measuring and writing; longer files go to disk
DIGEST_BYTES = 16
SYSTEM_ERROR = 2  # libsndfile's SF_ERR_SYSTEM
BLOCK_SAMPLES = 1 << 16  # small enough to say where decoding stops to a second or two


@dataclass(frozen=True)
class Settings:
    """What every file of a run is judged and converted by.

    Attributes:
        audio_dir: root of the sources.
        sample_rate: of training, in Hz.
        convert_to: folder of converted files, or None to take the sources as they are.
        file_format: of converted files, ``flac`` or ``wav``, 16 bits.
        limits: which audio is refused.
    """

    audio_dir: Path
    sample_rate: int = 24_000
    convert_to: Path | None = None
    file_format: str = "flac"
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Track:
    """What is known of one source; a line of the journal.

    Attributes:
        source: as the scan found it.
        destination: relative path of the converted file; None without conversion.
        reason: why it is refused, or None.
        detail: what was found, for people.
        source_rate: in Hz.
        channels: of the source.
        seconds: of the source that decode.
        samples: at the training rate.
        peak: largest magnitude of the mono signal at the training rate, before ``gain``.
        gain: by which a signal above full scale was scaled down, else 1.
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
    """Judge one source and, if it is accepted and the settings say so, convert it.

    Args:
        task: the source and its destination below ``settings.convert_to``.

    Raises:
        OSError: if the converted file cannot be written: a full disk is no fault of the track.
    """
    source, destination = task
    track = Track(source, destination)
    path = settings.audio_dir / source.path
    fault = _fault_of_bytes(path)
    if fault is not None:
        return replace(track, reason=fault[0], detail=fault[1])
    try:
        info = audio.probe(path)
    except audio.AudioError as error:
        return replace(track, reason=_reason_of(error, Reason.UNDECODABLE), detail=_decoder_says(error))
    track = replace(track, source_rate=info.sample_rate, channels=info.channels)
    if settings.convert_to is None and info.sample_rate != settings.sample_rate:
        detail = f"{info.sample_rate} Hz, not {settings.sample_rate}; {REMEDIES[Reason.SAMPLE_RATE]}"
        return replace(track, reason=Reason.SAMPLE_RATE, detail=detail)
    return _decode(track, path, info, settings)


def _fault_of_bytes(path: Path) -> tuple[Reason, str] | None:
    """What can be told without decoding, as (reason, detail)."""
    extension = path.suffix.lower()
    promised = CONTAINER_OF_EXTENSION.get(extension)
    try:
        if path.stat().st_size == 0:
            return Reason.EMPTY, "0 bytes"
        found = content_of(path)
        if found is not None and found != promised and not (promised == "mpeg" and riff_mpeg_span(path) is not None):
            return Reason.WRONG_EXTENSION, f"named {extension or 'without an extension'}, but the content is {found}"
        if promised is not None and promised in UNDECODABLE:
            return Reason.NO_DECODER, f"{promised}: {REMEDIES[Reason.NO_DECODER]}"
        if found is not None and found in DECODABLE:
            return container_fault(path, found)
    except PermissionError as error:
        return Reason.NO_PERMISSION, str(error.strerror)
    except OSError as error:
        return Reason.UNREADABLE, str(error.strerror)
    return None


def _decode(track: Track, path: Path, info: audio.AudioInfo, settings: Settings) -> Track:
    """Decode the whole file, judge it, and write it if the settings say so."""
    meter = Meter(info)
    blocks = audio.resample_blocks(_metered(path, meter), info.sample_rate, settings.sample_rate)
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
                else:  # how far to scale it down is known at its end only
                    spool.write(np.ascontiguousarray(block, dtype=np.float32).data)
        except audio.AudioError as error:
            failure, reason = _decoder_says(error), _reason_of(error, Reason.TRUNCATED)
        seconds = meter.samples / info.sample_rate
        track = replace(track, seconds=round(seconds, 3))
        if failure:
            stated = "" if info.samples == audio.UNKNOWN_SAMPLES else f" of {info.samples / info.sample_rate:.2f} s"
            detail = f"decodes up to {seconds:.2f} s{stated}: {failure}"
            return replace(track, reason=reason, detail=detail)
        if fault := meter.verdict(settings.limits):
            return replace(track, reason=fault[0], detail=fault[1])
        track = replace(track, samples=samples, peak=peak)
        if settings.convert_to is not None:
            spool.seek(0)
            track = _write(track, spool, settings, hasher.update)
        return replace(track, digest=hasher.hexdigest())


def _metered(path: Path, meter: Meter) -> Iterator[np.ndarray]:
    """The mono blocks of a file, (n,) float32, up to the first value that is no number."""
    try:
        for block in audio.stream_channels(path, BLOCK_SAMPLES):
            mono = block.mean(axis=1) if block.shape[1] > 1 else block[:, 0]
            meter.update(block, mono)
            if meter.first_fault is not None:
                return
            yield mono
    except audio.AudioError as error:
        # An Ogg file was seen to be whole before; the positions in its pages, of which the length is the last, can be
        # ahead of the audio.
        if meter.container != "OGG" or not isinstance(error, audio.TruncatedAudioError):
            raise


def _write(track: Track, signal: IO[bytes], settings: Settings, digest: Callable[[memoryview], None]) -> Track:
    """Write the mono float32 ``signal`` as 16 bits, scaled down as a whole if it goes above full scale.

    Lossy decoders and resamplers overshoot: most loud masters do. Writing them as they are would clip.
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
    """UNREADABLE if the system failed to read the file, whatever the decoder would have made of it."""
    is_of_the_system = isinstance(error.__cause__, OSError) or getattr(error.__cause__, "code", 0) == SYSTEM_ERROR
    return Reason.UNREADABLE if is_of_the_system else otherwise


def _decoder_says(error: audio.AudioError) -> str:
    """The decoder's own words, without the path that it repeats."""
    if error.__cause__ is None:
        return "the file ends there"
    return getattr(error.__cause__, "error_string", "") or str(error.__cause__)
