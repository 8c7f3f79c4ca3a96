"""Names that a line-based manifest can hold, and safe names for converted files."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from mert_fairseq.manifest import unusable_name

MAX_NAME_BYTES = 240  # of one path component; 255 on common file systems, less what a temporary name adds
DIGEST_LENGTH = 8  # hexadecimal digits of a path that tell apart names that would collide


def name_problem(relative_path: str) -> str | None:
    """What keeps a path out of a manifest, or None.

    Beside what `manifest.unusable_name` refuses, a name must be UTF-8: fairseq's own data sets open manifests as text.
    """
    try:
        relative_path.encode("utf-8")
    except UnicodeEncodeError:
        return "it is not UTF-8"
    return unusable_name(relative_path)


def safe_destinations(sources: Iterable[str], suffix: str) -> dict[str, str]:
    """Where each source goes below the folder of converted files: the same path, a safe name, the new suffix.

    Characters that a manifest cannot hold become ``_``. Sources whose plain destinations would collide (``a.mp3`` and
    ``a.ogg``; ``A.wav`` and ``a.wav`` where the file system ignores case) and renamed ones carry a digest of their
    path, so that the answer depends on the set of sources only.

    Args:
        sources: relative paths with ``/``, all different.
        suffix: of the destination, with its dot.
    """
    plain = {source: _plain_destination(source, suffix) for source in sources}
    taken = Counter(_folded(destination) for destination, _ in plain.values())
    folders = {
        _folded(str(parent)) for destination, _ in plain.values() for parent in PurePosixPath(destination).parents
    }
    destinations = {}
    for source, (destination, renamed) in plain.items():
        if renamed or taken[_folded(destination)] > 1 or _folded(destination) in folders:
            destination = _with_digest(destination, source)
        destinations[source] = destination
    return destinations


def _plain_destination(source: str, suffix: str) -> tuple[str, bool]:
    """The destination, and whether a character had to be replaced."""
    cleaned = "/".join(_clean(part) for part in source.split("/"))
    path = PurePosixPath(cleaned)
    stem = path.stem.strip() or "_"
    limited = _limit_bytes(stem, MAX_NAME_BYTES - len(suffix))
    destination = str(path.with_name(limited + suffix))
    return destination, cleaned != source or limited != path.stem


def _clean(part: str) -> str:
    """One path component without control characters, stand-ins for bad bytes, or blanks at its ends."""
    replaced = "".join(
        "_" if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") else character for character in part
    )
    return replaced if replaced == replaced.strip() else f"_{replaced.strip()}"


def _with_digest(destination: str, source: str) -> str:
    path = PurePosixPath(destination)
    digest = hashlib.blake2b(source.encode("utf-8", "surrogateescape")).hexdigest()[:DIGEST_LENGTH]
    stem = _limit_bytes(path.stem, MAX_NAME_BYTES - len(path.suffix) - DIGEST_LENGTH - 1)
    return str(path.with_name(f"{stem}-{digest}{path.suffix}"))


def _limit_bytes(text: str, most: int) -> str:
    return text.encode("utf-8")[:most].decode("utf-8", "ignore")


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()
