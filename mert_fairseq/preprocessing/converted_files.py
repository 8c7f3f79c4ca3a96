"""Converted files: names that a manifest can hold, and the folder, which one run at a time writes to."""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from mert_fairseq.files import write_lines
from mert_fairseq.jobs.locks import FileLock
from mert_fairseq.manifest import unusable_name
from mert_fairseq.preprocessing.examine_track import Settings

MAX_NAME_BYTES = 240  # of one path component; 255 on common file systems, less the characters of a temporary name
DIGEST_LENGTH = 8  # hexadecimal digits that distinguish names which would collide
OWNER_FILE = ".owner.json"
LOCK_FILE = ".lock"


@contextmanager
def converted_folder(settings: Settings) -> Iterator[None]:
    """Lock the folder of converted files during the ``with`` block, and delete partial files of a killed run.

    A folder belongs to one folder of sources and one sample rate, which it names in OWNER_FILE. Converted files are
    named after their sources, so another data set or rate would overwrite files that existing manifests list. Nothing
    happens without conversion.

    Raises:
        BlockingIOError: if another run is writing there.
        ValueError: if it holds files of other sources or at another rate.
    """
    folder = settings.convert_to
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    owner = json.dumps({"audio_dir": str(settings.audio_dir), "sample_rate": settings.sample_rate})
    with FileLock(folder / LOCK_FILE, "Wait for it to end, or give another folder (--convert-to)."):
        owner_path = folder / OWNER_FILE
        found = owner_path.read_text(encoding="ascii").strip() if owner_path.is_file() else ""
        if found and found != owner:
            raise ValueError(
                f"{folder}: holds the converted files of {found}, expected those of {owner}. Give another folder "
                f"(--convert-to), or delete this one if no manifest needs it."
            )
        if not found:
            write_lines(owner_path, [owner])
        for leftover in folder.rglob(".*.partial"):
            leftover.unlink(missing_ok=True)
        yield


def name_problem(relative_path: str) -> str | None:
    """Why a manifest cannot hold a path, or None.

    In addition to the rules of `manifest.unusable_name`, a name must be UTF-8: fairseq's own data sets open manifests
    as text.
    """
    try:
        relative_path.encode("utf-8")
    except UnicodeEncodeError:
        return "it is not UTF-8"
    return unusable_name(relative_path)


def safe_destinations(sources: Iterable[str], suffix: str) -> dict[str, str]:
    """The path of each converted file below its folder: the path of the source with a safe name and the new suffix.

    Characters that a manifest cannot hold become ``_``. A digest of the source's path is added to renamed files, and to
    files that would collide (``a.mp3`` and ``a.ogg``; ``A.wav`` and ``a.wav`` where the file system ignores case). So
    the result depends on the set of sources only.

    Args:
        sources: relative paths with ``/``, all different.
        suffix: of the converted files, with its dot.
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
    """The destination, and whether the name had to change."""
    cleaned = "/".join(_clean(part) for part in source.split("/"))
    path = PurePosixPath(cleaned)
    stem = path.stem.strip() or "_"
    limited = _limit_bytes(stem, MAX_NAME_BYTES - len(suffix))
    destination = str(path.with_name(limited + suffix))
    return destination, cleaned != source or limited != path.stem


def _clean(part: str) -> str:
    """One path component with ``_`` for control characters and bytes that are not UTF-8, without outer blanks."""
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
