"""Rejects: files that did not become a track, with reasons and remedies, and the table rejects.tsv.

To add a reason, add a member to `Reason`, its remedy to `REMEDIES`, and its row to the table in docs/data.md.
"""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from mert_fairseq.jobs.rejects import write_rejects as write_table

REJECTS_FILE = "rejects.tsv"
COLUMNS = ("path", "reason", "detail")


class Reason(StrEnum):
    """The second column of rejects.tsv, in the order in which a file is examined."""

    BROKEN_LINK = "broken_link"
    LINK_LOOP = "link_loop"
    DUPLICATE_LINK = "duplicate_link"
    NOT_A_FILE = "not_a_file"
    NO_PERMISSION = "no_permission"
    UNSAFE_NAME = "unsafe_name"
    UNREADABLE = "unreadable"
    EMPTY = "empty"
    WRONG_EXTENSION = "wrong_extension"
    NO_DECODER = "no_decoder"
    UNDECODABLE = "undecodable"
    DAMAGED = "damaged"
    TRUNCATED = "truncated"
    HIDDEN_AUDIO = "hidden_audio"
    NOT_FINITE = "not_finite"
    SILENT = "silent"
    CLIPPED = "clipped"
    TOO_SHORT = "too_short"
    SAMPLE_RATE = "sample_rate"
    DECODER_DIED = "decoder_died"
    DUPLICATE = "duplicate"
    # only for a corpus with metadata
    MISSING = "missing"
    NOT_IN_TABLES = "not_in_tables"
    KNOWN_BAD = "known_bad"
    LICENCE = "licence"


REMEDIES: dict[Reason, str] = {
    Reason.BROKEN_LINK: "the link's target is gone; restore it or delete the link",
    Reason.LINK_LOOP: "the link leads back to a folder that holds it; nothing is lost, delete the link",
    Reason.DUPLICATE_LINK: "its target is listed under another name; nothing is lost, delete the link",
    Reason.NOT_A_FILE: "a device, socket or pipe with an audio name; delete it",
    Reason.NO_PERMISSION: "chmod u+r the file (u+rx a folder)",
    Reason.UNSAFE_NAME: "a manifest cannot hold the name; rename the file, or convert with --convert-to",
    Reason.UNREADABLE: "the disk or the network failed, not the file; repair it and run the same command again",
    Reason.EMPTY: "the file holds no audio; fetch it again",
    Reason.WRONG_EXTENSION: "the content does not match the extension; rename the file, or fetch it again",
    Reason.NO_DECODER: "libsndfile cannot decode this format; convert it first: ffmpeg -i FILE FILE.flac",
    Reason.UNDECODABLE: "the decoder cannot open the file; ffmpeg -i FILE FILE.flac; if that fails too, fetch it again",
    Reason.DAMAGED: "bytes inside the file are wrong; fetch it again, or keep what is left: ffmpeg -i FILE FILE.flac",
    Reason.TRUNCATED: "the file ends, or cannot be decoded further, before its declared length; fetch it again, or "
    "keep what is left: ffmpeg -i FILE FILE.flac",
    Reason.HIDDEN_AUDIO: "audio follows that is not decoded; MP3, Ogg, AU: ffmpeg -i FILE FILE.flac; WAV: ffmpeg "
    "-ignore_length 1 -i FILE FILE.flac; AIFF, W64: tail -c BYTES FILE > NEW, where BYTES follow",
    Reason.NOT_FINITE: "the file holds NaN or infinite samples; export it again",
    Reason.SILENT: "nothing above --silence-dbfs; check the export, or lower the threshold; where channels cancel, "
    "keep one: ffmpeg -i FILE -af channelmap=0:mono FILE.flac",
    Reason.CLIPPED: "more than --max-clipped-share of the samples are at full scale; find a better master, or raise it",
    Reason.TOO_SHORT: "shorter than --min-seconds; lower it to keep the file",
    Reason.SAMPLE_RATE: "not at the training rate; convert with --convert-to DIR --sample-rate RATE",
    Reason.DECODER_DIED: "decoding the file killed the process (crash or out of memory); ffmpeg -i FILE FILE.flac",
    Reason.DUPLICATE: "the same audio as another file, which is kept; nothing is lost",
    Reason.MISSING: "the tables list the track, but its file does not exist; unpack the archive again",
    Reason.NOT_IN_TABLES: "no track of the tables has this name; delete the file, or give the archive's folder",
    Reason.KNOWN_BAD: "the published file is broken and cannot be repaired; --keep-known-bad examines it anyway",
    Reason.LICENCE: "the artist's licence does not allow what --require asks for",
}

# The machine or its permissions failed, not the file: the next run tries such files again even if they are unchanged.
RETRYABLE = frozenset({Reason.NO_PERMISSION, Reason.UNREADABLE, Reason.DECODER_DIED})


class Reject(NamedTuple):
    """A rejected file or folder: its path relative to the audio folder, the reason, and what was found."""

    path: str
    reason: Reason
    detail: str


class NoTracksError(ValueError):
    """All files of a folder were rejected; the message counts the reasons."""

    @classmethod
    def of(cls, audio_dir: Path, rejects: Iterable[Reject], table: str, expected: str = "") -> "NoTracksError":
        """Make the error.

        Args:
            audio_dir: the folder.
            rejects: all its rejects.
            table: name of the file that lists them.
            expected: a sentence that says which files should be there.
        """
        counts = Counter(reject.reason for reject in rejects)
        found = ", ".join(f"{count} {reason} ({REMEDIES[reason]})" for reason, count in counts.most_common())
        return cls(f"{audio_dir}: no track is left: {found or 'it holds no audio'}. {expected}See {table}.")


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """Write rejects.tsv, sorted by path."""
    write_table(path, COLUMNS, rejects)
