"""Audio files as windows at a model's rate: decoded, resampled and cut in bounded memory, in worker processes."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mert_fairseq.audio import (
    UNKNOWN_SAMPLES,
    AudioError,
    AudioInfo,
    TruncatedAudioError,
    probe,
    resample_blocks,
    stream_blocks,
)
from mert_fairseq.extraction.windows import Window, Windowing
from mert_fairseq.preprocessing.completeness import container_fault
from mert_fairseq.preprocessing.reject_reasons import REMEDIES, Reason, Reject
from mert_fairseq.preprocessing.scan import Source, scan_folder
from mert_fairseq.preprocessing.signatures import DECODABLE, UNDECODABLE, content_of

SYSTEM_ERROR = 2  # libsndfile's SF_ERR_SYSTEM


class RejectedError(AudioError):
    """A file without features: a reason as in rejects.tsv, and what was found."""

    def __init__(self, path: Path, reason: Reason, detail: str) -> None:
        super().__init__(f"{path}: {reason}: {detail}. Remedy: {REMEDIES[reason]}.")
        self.reason = reason
        self.detail = detail


class FileWindow(NamedTuple):
    """A window of a file.

    Attributes:
        window: input of the model.
        frames: of the whole file.
        seconds: of the whole file.
    """

    window: Window
    frames: int
    seconds: float


def blocks_at(path: Path, sample_rate: int) -> Iterator[np.ndarray]:
    """Decode a file to mono at a rate.

    Yields:
        (n,) float32, end to end.

    Raises:
        RejectedError: if it cannot be decoded to its end, or holds NaN.
    """
    info = _probed(path)
    yield from resample_blocks(_decoded(path, info), info.sample_rate, sample_rate)


def file_windows(path: Path, sample_rate: int, windowing: Windowing) -> Iterator[FileWindow]:
    """Decode a file and cut it.

    Raises:
        RejectedError: if it cannot be decoded to its end, holds NaN, or is shorter than one frame sees.
    """
    info = _probed(path)
    samples = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal samples
        for block in _decoded(path, info):
            samples += len(block)
            yield block

    frames = end = 0
    seconds = 0.0
    for window in windowing.cut(resample_blocks(counted(), info.sample_rate, sample_rate)):
        if window.first == 0:
            length = samples if window.is_last else _length(path, info)
            seconds = length / info.sample_rate
            frames = window.frames if window.is_last else windowing.num_frames(_resampled(length, info, sample_rate))
        end = window.first + window.frames
        yield FileWindow(window, frames, seconds)
    if not frames:
        shortest = windowing.receptive_samples / sample_rate
        raise RejectedError(
            path,
            Reason.TOO_SHORT,
            f"{samples / info.sample_rate:.4f} s, but one frame of the model sees {shortest:.4f} s",
        )
    if end != frames:
        raise RejectedError(
            path, Reason.TRUNCATED, f"decodes to {end} frames, but its length of {seconds:.3f} s has {frames}"
        )


def _resampled(samples: int, info: AudioInfo, sample_rate: int) -> int:
    return (2 * samples * sample_rate + info.sample_rate) // (2 * info.sample_rate)


def _length(path: Path, info: AudioInfo) -> int:
    """Samples that decode: from the header, or counted for formats whose header may be wrong or missing."""
    is_stated = not info.format.startswith(("MP3", "OGG")) and info.samples != UNKNOWN_SAMPLES
    return info.samples if is_stated else sum(len(block) for block in _decoded(path, info))


def _probed(path: Path) -> AudioInfo:
    if not path.is_file():
        raise AudioError(f"{path}: no such file. Correct its name.")
    try:
        if path.stat().st_size == 0:
            raise RejectedError(path, Reason.EMPTY, "0 bytes")
        info = probe(path)
        with path.open("rb") as stream:
            container = content_of(stream)
            fault = container_fault(path, stream, container) if container in DECODABLE else None
    except RejectedError:
        raise
    except AudioError as error:
        raise _rejected(path, error, Reason.UNDECODABLE) from error
    except PermissionError as error:
        raise RejectedError(path, Reason.NO_PERMISSION, str(error.strerror)) from error
    except OSError as error:
        raise RejectedError(path, Reason.UNREADABLE, str(error.strerror)) from error
    if fault is not None:
        raise RejectedError(path, *fault)
    return info


def _decoded(path: Path, info: AudioInfo) -> Iterator[np.ndarray]:
    """The mono blocks of a file at its own rate."""
    samples = 0
    try:
        for block in stream_blocks(path):
            if not np.isfinite(block).all():
                at = samples + int(np.argmin(np.isfinite(block)))
                raise RejectedError(path, Reason.NOT_FINITE, f"NaN or infinity at sample {at}")
            samples += len(block)
            yield block
    except RejectedError:
        raise
    except AudioError as error:
        # Positions in an intact Ogg file can be ahead of its audio; in other formats the file is truncated.
        if not (info.format.startswith("OGG") and isinstance(error, TruncatedAudioError)):
            raise _rejected(path, error, Reason.TRUNCATED) from error


def _rejected(path: Path, error: AudioError, otherwise: Reason) -> RejectedError:
    """Classify a failure: system error, unsupported format, or damaged file."""
    detail = getattr(error.__cause__, "error_string", "") or str(error).removeprefix(f"{path}: ")
    if getattr(error.__cause__, "code", 0) == SYSTEM_ERROR:
        return RejectedError(path, Reason.UNREADABLE, detail)
    if otherwise == Reason.UNDECODABLE:
        with path.open("rb") as stream:
            if content_of(stream) in UNDECODABLE:
                return RejectedError(path, Reason.NO_DECODER, detail)
    return RejectedError(path, otherwise, detail)


class Inputs(NamedTuple):
    """Audio files by their paths relative to ``root``, and rejects: files named like audio that are not audio."""

    root: Path
    sources: list[Source]
    rejects: list[Reject]


def find_inputs(paths: Sequence[Path]) -> Inputs:
    """List the audio of files and folders; names are relative to the one folder given, or to the common parent.

    Raises:
        FileNotFoundError: if a path does not exist, or a folder holds no audio.
    """
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder. Correct its name.")
    resolved = [path.resolve() for path in paths]
    parents = [path if path.is_dir() else path.parent for path in resolved]
    root = Path(os.path.commonpath(parents))
    sources: dict[str, Source] = {}
    rejects: set[Reject] = set()
    for path, given in zip(resolved, paths, strict=True):
        if path.is_dir():
            scan = scan_folder(path)
            if not scan.sources:
                raise FileNotFoundError(f"{given}: no audio file in it. Give files, or a folder of music.")
            prefix = path.relative_to(root)
            found = [replace(source, path=(prefix / source.path).as_posix()) for source in scan.sources]
            rejects |= {reject._replace(path=(prefix / reject.path).as_posix()) for reject in scan.rejects}
        else:
            status = path.stat()
            found = [Source(path.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns)]
        sources |= {source.path: source for source in found}
    return Inputs(root, sorted(sources.values()), sorted(rejects))
