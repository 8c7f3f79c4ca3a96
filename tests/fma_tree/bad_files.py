"""Every kind of bad audio file that FMA is known to hold, or that a broken download or copy leaves behind."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 44_100


def _empty(path: Path, song: np.ndarray) -> None:
    path.write_bytes(b"")


def _tag_only(path: Path, song: np.ndarray) -> None:
    path.write_bytes(b"ID3\x03\x00\x00\x00\x00\x07\x76" + bytes(1014))  # an ID3v2.3 tag of padding, and no frame


def _noise_bytes(path: Path, song: np.ndarray) -> None:
    path.write_bytes(np.random.default_rng(0).integers(0, 0x7F, 4096, dtype=np.uint8).tobytes())  # no MP3 sync in it


def _web_page(path: Path, song: np.ndarray) -> None:
    path.write_text("<!DOCTYPE html><html><body>404 Not Found</body></html>\n" * 20)


def _too_short(path: Path, song: np.ndarray) -> None:
    soundfile.write(path, song[: RATE_HZ // 10], RATE_HZ, format="MP3")


def _wrong_cut(path: Path, song: np.ndarray) -> None:
    soundfile.write(path, song[: len(song) * 3 // 4], RATE_HZ, format="MP3")


def _truncated(path: Path, song: np.ndarray) -> None:
    soundfile.write(path, song, RATE_HZ, format="MP3")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def _silent(path: Path, song: np.ndarray) -> None:
    soundfile.write(path, np.zeros_like(song), RATE_HZ, format="MP3")


def _clipped(path: Path, song: np.ndarray) -> None:
    soundfile.write(path, np.sign(song), RATE_HZ, format="MP3")


def _flac_named_mp3(path: Path, song: np.ndarray) -> None:
    soundfile.write(path, song, RATE_HZ, format="FLAC")


def _missing(path: Path, song: np.ndarray) -> None:
    path.unlink(missing_ok=True)


BAD_FILES: dict[int, tuple[str, Callable[[Path, np.ndarray], None]]] = {
    # known to be bad, as mert_fairseq.fma.constants lists them
    99134: ("empty", _empty),
    108925: ("tag_only", _tag_only),
    133297: ("noise_bytes", _noise_bytes),
    98565: ("too_short", _too_short),
    98567: ("too_short", _too_short),
    98569: ("too_short", _too_short),
    1486: ("wrong_cut", _wrong_cut),
    # not on the list: found by looking into the file
    151001: ("empty", _empty),
    151002: ("web_page", _web_page),
    151003: ("truncated", _truncated),
    151004: ("silent", _silent),
    151005: ("clipped", _clipped),
    151006: ("flac_named_mp3", _flac_named_mp3),
    151007: ("missing", _missing),
    151008: ("too_short", _too_short),
}
DUPLICATE_ID = 151009  # its file is a copy of the file of a track in another split
BAD_IDS = (*BAD_FILES, DUPLICATE_ID)
