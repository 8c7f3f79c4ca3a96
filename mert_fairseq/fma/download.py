"""Fetch an archive: goes on where an interrupted download stopped, and is not believed before its SHA-1 agrees."""

import errno
import hashlib
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from tqdm import tqdm

from mert_fairseq.fma.card import DOWNLOAD_URL, Archive

BLOCK_BYTES = 1 << 20
TIMEOUT_SECONDS = 60
WAITS_SECONDS = (1, 5, 30, 120)  # before each new attempt after a broken connection
CUT_OFF = (OSError, HTTPException)
HERE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # faults of folder and disk


class DownloadError(OSError):
    """An archive could not be fetched whole: the message says from where, what was found and the remedy."""


def download(
    archive: Archive,
    folder: Path,
    base_url: str = DOWNLOAD_URL,
    waits_seconds: tuple[float, ...] = WAITS_SECONDS,
) -> Path:
    """Fetch an archive into a folder unless it is there already.

    The growing file is ``{name}.part``; it takes its name only when its SHA-1 agrees.

    Args:
        archive: of :data:`mert_fairseq.fma.card.ARCHIVES`.
        folder: made if it is not there.
        base_url: of a mirror that has the same files.
        waits_seconds: pauses between attempts; their number is the number of attempts less one.

    Returns:
        Path of the zip file.

    Raises:
        DownloadError: if the address is none, the server has no such file, the connection keeps breaking, the folder
            cannot be written to, the disk is too small, or the SHA-1 is another one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / archive.name
    if target.is_file():
        verify(target, archive)
        return target
    part = folder / f"{archive.name}.part"
    url = base_url.rstrip("/") + "/" + archive.name
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"{url}: expected an address that begins with https:// or http://. Correct --url.")
    for attempt in range(len(waits_seconds) + 1):
        try:
            _fetch(url, part)
            break
        except DownloadError:
            raise
        except CUT_OFF as error:
            if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                raise DownloadError(
                    f"{url}: the server answers {error.code} {error.reason}. Give the address of a mirror."
                ) from error
            if getattr(error, "errno", None) in HERE:
                raise DownloadError(
                    f"{part}: cannot be written ({error}). Free some space, or give a folder that you may write to."
                    f" The same command goes on from here."
                ) from error
            if attempt == len(waits_seconds):
                raise DownloadError(
                    f"{url}: the connection broke {attempt + 1} times, last with {error!r}, at "
                    f"{part.stat().st_size if part.is_file() else 0:,} bytes. The same command goes on from there."
                ) from error
            time.sleep(waits_seconds[attempt])
    verify(part, archive)
    part.replace(target)
    _stamp_path(target).write_text(_stamp(target, archive))
    return target


def verify(path: Path, archive: Archive) -> None:
    """Check a file's SHA-1, once: a stamp beside it spares the second reading of 93 GB while the file is unchanged.

    Raises:
        DownloadError: if it is another one; the file is put aside as ``*.damaged``, so that the next run fetches anew.
    """
    if _stamp_path(path).is_file() and _stamp_path(path).read_text() == _stamp(path, archive):
        return
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file, _bar(path.stat().st_size, 0, f"SHA-1 of {path.name}") as bar:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            bar.update(len(block))
    if digest.hexdigest() != archive.sha1:
        aside = path.with_name(f"{archive.name}.damaged")
        path.replace(aside)
        raise DownloadError(
            f"{path}: found SHA-1 {digest.hexdigest()}, expected {archive.sha1}. The download is damaged, or another "
            f"release; it was put aside as {aside.name}. Run the same command to fetch it again."
        )
    if not path.name.endswith(".part"):
        _stamp_path(path).write_text(_stamp(path, archive))


def _stamp_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.verified")


def _stamp(path: Path, archive: Archive) -> str:
    status = path.stat()
    return f"sha1 {archive.sha1} size {status.st_size} mtime_ns {status.st_mtime_ns}\n"


def _fetch(url: str, part: Path) -> None:
    """Append what is missing to ``part``."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing lies beyond what is here: whole already, which the SHA-1 will tell
            return
        raise
    with response:
        if response.status != 206:  # a server that knows no ranges sends all of it
            have = 0
        rest = _length(response)
        _check_space(part.parent, rest)
        with part.open("ab" if have else "wb") as file, _bar(have + rest if rest else None, have, part.name) as bar:
            while block := response.read(BLOCK_BYTES):
                file.write(block)
                bar.update(len(block))
    if rest is not None and part.stat().st_size < have + rest:
        raise ConnectionError(f"got {part.stat().st_size - have:,} of {rest:,} bytes")


def _length(response: HTTPResponse) -> int | None:
    text = response.headers.get("Content-Length")
    return int(text) if text is not None else None


def _check_space(folder: Path, needed_bytes: int | None) -> None:
    free = shutil.disk_usage(folder).free
    if needed_bytes is not None and needed_bytes > free:
        raise DownloadError(
            f"{folder}: {free / 2**30:.1f} GiB are free, expected {needed_bytes / 2**30:.1f} GiB for the rest of the "
            f"download. Free some space, or give another folder."
        )


def _bar(total: int | None, initial: int, name: str) -> tqdm:
    return tqdm(total=total, initial=initial, unit="B", unit_scale=True, unit_divisor=1024, desc=name)
