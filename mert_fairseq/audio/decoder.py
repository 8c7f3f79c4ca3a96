"""Open a file with libsndfile by its content, not by its name or container."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import soundfile

from mert_fairseq.audio.mpeg import riff_mpeg_span
from mert_fairseq.audio.mpeg_length import Substitute, with_stated_length
from mert_fairseq.audio.ogg import with_end_mark
from mert_fairseq.audio.seeking import suppress_mpeg_messages
from mert_fairseq.audio.spliced import SplicedFile

MPEG_SUFFIXES = (".mp3", ".mp2", ".mpga", ".wav")  # their decoder may print messages while a file is opened


class Decoder(soundfile.SoundFile):
    """A sound file without the seek that soundfile does after every read.

    In an MP3 that seek loses the bytes that the next frame borrows from the last ones, so each block began with some
    hundred wrong samples; in other formats it costs time.

    Attributes:
        counted_samples: sum over the frames of MPEG audio if nothing states its length, else None.
        source: the bytes that are decoded in place of the file, or None.
    """

    counted_samples: int | None = None
    source: SplicedFile | None = None
    _opened: ExitStack | None = None

    def seekable(self) -> bool:
        return False

    @property
    def samples(self) -> int:
        """Per channel, as far as they are known without decoding."""
        return self.frames if self.counted_samples is None else min(self.counted_samples, self.frames)

    def close(self) -> None:
        """Close the decoder, and the files that were opened for it."""
        super().close()
        if self._opened is not None:
            self._opened.close()


def open_decoder(path: str | Path, raw: BinaryIO | None = None) -> Decoder:
    """Open a file, or the bytes that have to be decoded in its place.

    Args:
        path: of the file.
        raw: the same file, if it is open already; it is read for MPEG and Opus audio only, and must stay open as long
            as the decoder.

    Raises:
        soundfile.SoundFileError: if libsndfile cannot open it.
        OSError: if the file cannot be read.
        TypeError: if its format has no header.
    """
    file: Decoder | None = None
    failure: soundfile.SoundFileError | None = None
    try:
        with suppress_mpeg_messages(os.fspath(path).lower().endswith(MPEG_SUFFIXES)):
            file = Decoder(os.fsencode(path))  # a str would have to be UTF-8, and a file name need not be
    except soundfile.SoundFileError as error:
        failure = error
    if file is not None and not file.subtype.startswith(("MPEG", "OPUS")):
        return file
    with ExitStack() as opened:
        if raw is None:
            raw = opened.enter_context(Path(path).open("rb"))
        if failure is not None and riff_mpeg_span(raw) is None:
            raise failure
        if (substitute := _substitute(raw, file)) is not None:
            if file is not None:
                file.close()
            return decoder_of(substitute.file, substitute.samples, opened.pop_all())
    if file is None:
        raise soundfile.SoundFileRuntimeError("MPEG audio without a frame that can be decoded")
    return file


def _substitute(raw: BinaryIO, file: Decoder | None) -> Substitute | None:
    if file is not None and file.subtype == "OPUS":
        marked = with_end_mark(raw)
        return None if marked is None else Substitute(marked, None)
    return with_stated_length(raw)


def decoder_of(source: SplicedFile, counted_samples: int | None = None, opened: ExitStack | None = None) -> Decoder:
    """Decode ``source``.

    Args:
        source: bytes of an audio file.
        counted_samples: see `Decoder`.
        opened: closed together with the decoder.

    Raises:
        soundfile.SoundFileError: if libsndfile cannot open it.
    """
    with suppress_mpeg_messages(True):
        file = Decoder(source)
    file.source, file.counted_samples, file._opened = source, counted_samples, opened
    return file
