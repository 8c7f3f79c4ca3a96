"""Why a file did not become a track: one vocabulary for rejects.tsv, each word with its meaning and its remedy."""

from enum import StrEnum


class Reason(StrEnum):
    """The second column of rejects.tsv; members are listed in the order in which a file is examined."""

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
    # of a corpus with metadata
    MISSING = "missing"
    NOT_IN_TABLES = "not_in_tables"
    KNOWN_BAD = "known_bad"
    LICENCE = "licence"


REMEDIES: dict[Reason, str] = {
    Reason.BROKEN_LINK: "the link's target is gone; restore it or delete the link",
    Reason.LINK_LOOP: "the link leads back to a folder that holds it; nothing is lost, delete the link",
    Reason.DUPLICATE_LINK: "its target is taken under another name; nothing is lost, delete the link",
    Reason.NOT_A_FILE: "a device, socket or pipe with an audio name; delete it",
    Reason.NO_PERMISSION: "chmod u+r the file (u+rx a folder)",
    Reason.UNSAFE_NAME: "a manifest cannot hold the name; rename the file, or convert with --convert-to",
    Reason.UNREADABLE: "the disk or the network failed, not the file; mend that and run the same command again",
    Reason.EMPTY: "the file holds no audio; fetch it again",
    Reason.WRONG_EXTENSION: "the content is not what the name says; rename it, or fetch it again",
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
    Reason.MISSING: "the tables list the track, but its file is not there; unpack the archive again",
    Reason.NOT_IN_TABLES: "no track of the tables has this name; delete the file, or give the archive's folder",
    Reason.KNOWN_BAD: "the published file is broken; nothing to mend, --keep-known-bad tries it all the same",
    Reason.LICENCE: "the artist's licence does not allow what --require asks for",
}

# Of the machine and its rights, not of the bytes: the next run tries such files again, though they have not changed.
PASSING = frozenset({Reason.NO_PERMISSION, Reason.UNREADABLE, Reason.DECODER_DIED})
