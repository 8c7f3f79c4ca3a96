"""File types by their first bytes, and by their extensions."""

from typing import BinaryIO

from mert_fairseq.audio.mpeg import skip_id3v2

HEAD_BYTES = 64

# Containers that libsndfile decodes, with their extensions.
DECODABLE: dict[str, frozenset[str]] = {
    "mpeg": frozenset({".mp3", ".mp2", ".mpga"}),
    "ogg": frozenset({".ogg", ".oga", ".opus", ".spx"}),
    "flac": frozenset({".flac", ".fla"}),
    "wav": frozenset({".wav", ".wave", ".bwf", ".rf64"}),
    "aiff": frozenset({".aiff", ".aif", ".aifc"}),
    "au": frozenset({".au", ".snd"}),
    "caf": frozenset({".caf"}),
    "w64": frozenset({".w64"}),
}
# Audio that libsndfile does not decode.
UNDECODABLE: dict[str, frozenset[str]] = {
    "mp4": frozenset({".m4a", ".m4b", ".mp4", ".alac"}),
    "aac": frozenset({".aac"}),
    "asf": frozenset({".wma", ".asf"}),
    "ape": frozenset({".ape"}),
    "wavpack": frozenset({".wv"}),
    "musepack": frozenset({".mpc"}),
    "matroska": frozenset({".mka", ".webm"}),
    "dsd": frozenset({".dsf", ".dff"}),
    "tta": frozenset({".tta"}),
    "ac3": frozenset({".ac3", ".dts"}),
}
ALSO_VIDEO = {"mp4", "asf", "matroska"}  # mp4 also holds pictures: .heic
CONTAINER_OF_EXTENSION: dict[str, str] = {
    extension: container
    for table in (DECODABLE, UNDECODABLE)
    for container, extensions in table.items()
    for extension in extensions
}

_AT_START: list[tuple[bytes, str]] = [
    (b"OggS", "ogg"),
    (b"fLaC", "flac"),
    (b".snd", "au"),
    (b"caff", "caf"),
    (b"riff\x2e\x91\xcf\x11", "w64"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"MAC ", "ape"),
    (b"wvpk", "wavpack"),
    (b"MPCK", "musepack"),
    (b"MP+", "musepack"),
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"DSD ", "dsd"),
    (b"FRM8", "dsd"),
    (b"TTA1", "tta"),
    (b"\x0b\x77", "ac3"),
    (b"\x00\x05\x16\x07", "macOS resource fork"),
    (b"\x89PNG", "PNG image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"GIF8", "GIF image"),
    (b"%PDF", "PDF document"),
    (b"PK\x03\x04", "zip archive"),
    (b"Rar!", "rar archive"),
    (b"7z\xbc\xaf", "7z archive"),
    (b"\x1f\x8b", "gzip archive"),
    (b"MThd", "MIDI"),
    (b"#!", "script"),
    (b"#EXTM3U", "playlist"),
    (b"version https://git-lfs", "git-lfs pointer, not the file itself"),
]


def content_of(stream: BinaryIO) -> str | None:
    """The container or file type by the first bytes after any ID3v2 tags; None if they are unknown.

    Raises:
        OSError: if the file cannot be read.
    """
    stream.seek(0)
    is_tagged = skip_id3v2(stream) > 0
    return _type_of(stream.read(HEAD_BYTES)) or ("mpeg" if is_tagged else None)


def _type_of(head: bytes) -> str | None:
    for magic, kind in _AT_START:
        if head.startswith(magic):
            return kind
    if head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"RIFF" and head[8:12] == b"RMP3":
        return "mpeg"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[4:8] == b"ftyp":
        return "mp4"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:  # 11 bits of frame sync
        layer = head[1] >> 1 & 3
        if layer == 0:
            return "aac" if head[1] & 0xF0 == 0xF0 else None
        if layer != 3 and head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3:  # 3 is Layer I, or the mark of UTF-16 text
            return "mpeg"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "web page"
    return None


def is_audio_container(kind: str | None) -> bool:
    """Whether a result of `content_of` is audio, decodable or not. Containers that also hold video do not count."""
    return kind in DECODABLE or (kind in UNDECODABLE and kind not in ALSO_VIDEO)
