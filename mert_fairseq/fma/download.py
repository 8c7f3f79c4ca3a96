"""Download an archive with resume and a SHA-1 check, and unpack it.

Python's zipfile reads archives that some unzip programs cannot read.
"""

import errno
import hashlib
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from mert_fairseq.files import replacing
from mert_fairseq.fma.constants import DOWNLOAD_URL, Archive

BLOCK_BYTES = 1 << 20
TIMEOUT_SECONDS = 60
RETRY_SECONDS = (1, 5, 30, 120)  # pauses before each retry after a broken connection
RETRYABLE = (OSError, HTTPException)
# faults of the folder or the disk, not retried
LOCAL_ERRORS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class DownloadError(OSError):
    """An archive could not be downloaded completely."""


def download(
    archive: Archive,
    folder: Path,
    base_url: str = DOWNLOAD_URL,
    retry_seconds: tuple[float, ...] = RETRY_SECONDS,
) -> Path:
    """Download an archive to a folder, unless it is already there. An interrupted download continues.

    The incomplete file is ``{name}.part``. It is renamed after its SHA-1 is verified.

    Args:
        archive: of :data:`mert_fairseq.fma.constants.ARCHIVES`.
        folder: created if missing.
        base_url: address of a mirror with the same files.
        retry_seconds: pauses before the retries; their number is the number of retries.

    Returns:
        Path of the zip file.

    Raises:
        DownloadError: if the address is invalid, the server does not have the file, the connection keeps breaking, the
            folder is not writable, the disk is too small, or the SHA-1 differs.
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
    for attempt in range(len(retry_seconds) + 1):
        try:
            _fetch(url, part)
            break
        except DownloadError:
            raise
        except RETRYABLE as error:
            if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                raise DownloadError(
                    f"{url}: the server answers {error.code} {error.reason}. Give the address of a mirror."
                ) from error
            if getattr(error, "errno", None) in LOCAL_ERRORS:
                raise DownloadError(
                    f"{part}: cannot be written ({error}). Free some space, or give a folder that you may write to."
                    f" The same command continues from here."
                ) from error
            if attempt == len(retry_seconds):
                raise DownloadError(
                    f"{url}: the connection broke {attempt + 1} times, last with {error!r}, at "
                    f"{part.stat().st_size if part.is_file() else 0:,} bytes. The same command continues from there."
                ) from error
            time.sleep(retry_seconds[attempt])
    verify(part, archive)
    part.replace(target)
    _stamp_path(target).write_text(_stamp(target, archive))
    return target


def verify(path: Path, archive: Archive) -> None:
    """Check the SHA-1 of a file. A stamp file beside it avoids reading 93 GB again while the file is unchanged.

    Raises:
        DownloadError: if the SHA-1 differs. The file is renamed to ``*.damaged``, so the next run downloads it again.
    """
    if _stamp_path(path).is_file() and _stamp_path(path).read_text() == _stamp(path, archive):
        return
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file, _bar(path.stat().st_size, 0, f"SHA-1 of {path.name}") as bar:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            bar.update(len(block))
    if digest.hexdigest() != archive.sha1:
        damaged = path.with_name(f"{archive.name}.damaged")
        path.replace(damaged)
        raise DownloadError(
            f"{path}: found SHA-1 {digest.hexdigest()}, expected {archive.sha1}. The download is damaged, or is "
            f"another release; it was renamed to {damaged.name}. Run the same command to download it again."
        )
    if not path.name.endswith(".part"):
        _stamp_path(path).write_text(_stamp(path, archive))


def _stamp_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.verified")


def _stamp(path: Path, archive: Archive) -> str:
    status = path.stat()
    return f"sha1 {archive.sha1} size {status.st_size} mtime_ns {status.st_mtime_ns}\n"


def _fetch(url: str, part: Path) -> None:
    """Download the missing bytes and append them to ``part``."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the range is empty: the file is complete, and the SHA-1 check follows
            return
        raise
    with response:
        if response.status != 206:  # the server does not support ranges and sends the whole file
            have = 0
        rest = _length(response)
        _check_space(part.parent, rest or 0, "for the rest of the download", DownloadError)
        with part.open("ab" if have else "wb") as file, _bar(have + rest if rest else None, have, part.name) as bar:
            while block := response.read(BLOCK_BYTES):
                file.write(block)
                bar.update(len(block))
    if rest is not None and part.stat().st_size < have + rest:
        raise ConnectionError(f"got {part.stat().st_size - have:,} of {rest:,} bytes")


def _length(response: HTTPResponse) -> int | None:
    text = response.headers.get("Content-Length")
    return int(text) if text is not None else None


def _bar(total: int | None, initial: int, name: str) -> tqdm:
    return tqdm(total=total, initial=initial, unit="B", unit_scale=True, unit_divisor=1024, desc=name)


class UnpackError(OSError):
    """A zip file cannot be unpacked."""


def unpack(zip_path: Path, folder: Path) -> int:
    """Unpack a zip file. Files that already exist with the right length are skipped, so an interrupted run continues.

    Each file is written under a temporary name and renamed after its CRC is verified, so existing files are complete.

    Args:
        zip_path: the archive.
        folder: created if missing; receives the folders of the archive.

    Returns:
        Number of files written by this call.

    Raises:
        UnpackError: if the archive is damaged, has a path outside ``folder``, or the disk is too small.
    """
    if not zip_path.is_file():
        raise UnpackError(f"{zip_path}: no such file. Download it first, with preprocess/fetch_fma.py.")
    try:
        with zipfile.ZipFile(zip_path) as archive:
            targets = [(member, _target(member, folder)) for member in archive.infolist() if not member.is_dir()]
            missing = [(member, target) for member, target in targets if not _is_complete(member, target)]
            total = sum(member.file_size for member, _ in missing)
            folder.mkdir(parents=True, exist_ok=True)
            _check_space(folder, total, f"to unpack {zip_path.name}", UnpackError)
            with tqdm(total=total, unit="B", unit_scale=True, desc=f"unpacking {zip_path.name}") as bar:
                for member, target in missing:
                    _extract(archive, member, target)
                    bar.update(member.file_size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UnpackError(
            f"{zip_path}: cannot be unpacked ({error}). Check its SHA-1 and download it again; the files "
            f"unpacked so far are complete."
        ) from error
    return len(missing)


def _target(member: zipfile.ZipInfo, folder: Path) -> Path:
    name = PurePosixPath(member.filename)
    if name.is_absolute() or ".." in name.parts:
        raise UnpackError(
            f"{member.filename}: the archive has a path outside {folder}; it is not FMA's. Download it again."
        )
    return folder / name


def _is_complete(member: zipfile.ZipInfo, target: Path) -> bool:
    return target.is_file() and target.stat().st_size == member.file_size


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as partial, archive.open(member) as packed, partial.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked, BLOCK_BYTES)


def _check_space(folder: Path, needed_bytes: int, purpose: str, error: type[OSError]) -> None:
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise error(
            f"{folder}: {free / 2**30:.1f} GiB are free, expected {needed_bytes / 2**30:.1f} GiB {purpose}. Free some "
            f"space, or give another folder."
        )
