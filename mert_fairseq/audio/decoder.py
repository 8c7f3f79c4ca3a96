"""libsndfile's view of a file: opened as what it holds, not as what its name or its container says."""

import os
from pathlib import Path

import soundfile

from mert_fairseq.audio.mpeg import riff_mpeg_span
from mert_fairseq.audio.mpeg_length import Restated, restated
from mert_fairseq.audio.ogg import with_end_mark
from mert_fairseq.audio.seeking import quiet_mpeg
from mert_fairseq.audio.spliced import SplicedFile

MPEG_SUFFIXES = (".mp3", ".mp2", ".mpga", ".wav")  # whose decoder may print something while a file is opened


class Decoder(soundfile.SoundFile):
    """A file that is sought only when we say so.

    soundfile seeks to where it is after every read. In an MP3 that loses what the next frame borrows from the last
    ones, so that each block of a file began with some hundred wrong samples; elsewhere it costs time.

    Attributes:
        counted_samples: what the frames of MPEG audio add up to if nothing states its length.
        source: what is decoded in place of the file itself.
    """

    counted_samples: int | None = None
    source: SplicedFile | None = None

    def seekable(self) -> bool:
        return False

    @property
    def samples(self) -> int:
        """Per channel, as far as they can be told without decoding."""
        return self.frames if self.counted_samples is None else min(self.counted_samples, self.frames)

    def close(self) -> None:
        super().close()
        if self.source is not None:
            self.source.close()


def open_decoder(path: str | Path) -> Decoder:
    """Open a file, or what is to be decoded in its place.

    Raises:
        soundfile.SoundFileError: if the decoder cannot open it.
        OSError: if the file cannot be read.
        TypeError: if it is of a format without a header.
    """
    file: Decoder | None
    try:
        with quiet_mpeg(os.fspath(path).lower().endswith(MPEG_SUFFIXES)):
            file = Decoder(os.fsencode(path))  # a str would have to be UTF-8, and a file's name need not be
    except soundfile.SoundFileError:
        if riff_mpeg_span(path) is None:
            raise
        file = None
    if file is not None and not file.subtype.startswith(("MPEG", "OPUS")):
        return file
    if file is not None and file.subtype == "OPUS":
        marked = with_end_mark(path)  # the decoder cannot read the last page of one without the mark
        better = None if marked is None else Restated(marked, None)
    else:
        better = restated(path)
    if better is not None:
        if file is not None:
            file.close()
        return decoder_of(better.file, better.samples)
    if file is None:
        raise soundfile.SoundFileRuntimeError("MPEG audio without a frame that can be decoded")
    return file


def decoder_of(source: SplicedFile, counted_samples: int | None = None) -> Decoder:
    """Decode ``source``, which is closed with the decoder.

    Raises:
        soundfile.SoundFileError: if the decoder cannot open it.
    """
    with quiet_mpeg(True):
        file = Decoder(source)
    file.source, file.counted_samples = source, counted_samples
    return file
