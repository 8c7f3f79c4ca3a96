"""Unpack an archive with Python's zipfile, which reads what some unzip programs choke on; resumes if interrupted."""

import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from mert_fairseq.files import replacing

BLOCK_BYTES = 1 << 20


class UnpackError(OSError):
    """A zip file cannot be unpacked: the message says which, where, and the remedy."""


def unpack(zip_path: Path, folder: Path) -> int:
    """Unpack all of a zip file; files that are there already with the right length are left alone.

    Every file is written under a temporary name and takes its own when its CRC agrees, so what is there is whole.

    Args:
        zip_path: the archive.
        folder: made if it is not there; gets the folders that the archive holds.

    Returns:
        Files written by this call.

    Raises:
        UnpackError: if the archive is damaged, wants to write outside ``folder``, or the disk is too small.
    """
    if not zip_path.is_file():
        raise UnpackError(f"{zip_path}: no such file. Download it first, with preprocess/fetch_fma.py.")
    try:
        with zipfile.ZipFile(zip_path) as archive:
            targets = [(member, _target(member, folder)) for member in archive.infolist() if not member.is_dir()]
            missing = [(member, target) for member, target in targets if not _is_there(member, target)]
            _check_space(zip_path, folder, sum(member.file_size for member, _ in missing))
            total = sum(member.file_size for member, _ in missing)
            with tqdm(total=total, unit="B", unit_scale=True, desc=f"unpacking {zip_path.name}") as bar:
                for member, target in missing:
                    _extract(archive, member, target)
                    bar.update(member.file_size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UnpackError(
            f"{zip_path}: cannot be unpacked ({error}). Check it by its SHA-1 and download it again; what has been "
            f"unpacked is whole."
        ) from error
    return len(missing)


def _target(member: zipfile.ZipInfo, folder: Path) -> Path:
    name = PurePosixPath(member.filename)
    if name.is_absolute() or ".." in name.parts:
        raise UnpackError(f"{member.filename}: the archive wants to write outside {folder}; it is not FMA's.")
    return folder / name


def _is_there(member: zipfile.ZipInfo, target: Path) -> bool:
    return target.is_file() and target.stat().st_size == member.file_size


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as partial, archive.open(member) as packed, partial.open("wb") as plain:
        shutil.copyfileobj(packed, plain, BLOCK_BYTES)


def _check_space(zip_path: Path, folder: Path, needed_bytes: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise UnpackError(
            f"{folder}: {free / 2**30:.1f} GiB are free, expected {needed_bytes / 2**30:.1f} GiB to unpack "
            f"{zip_path.name}. Free some space, or give another folder."
        )
