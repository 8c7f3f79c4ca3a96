"""Find the audio files below a folder: each is listed once, links are followed, and each file left out is a reject."""

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mert_fairseq.preprocessing.reject_reasons import Reason, Reject
from mert_fairseq.preprocessing.signatures import (
    CONTAINER_OF_EXTENSION,
    content_of,
    is_audio_container,
)

FileKey = tuple[int, int]  # device and inode
LINK_FAILURES = {
    errno.ENOENT: Reason.BROKEN_LINK,
    errno.ENOTDIR: Reason.BROKEN_LINK,
    errno.ELOOP: Reason.LINK_LOOP,
    errno.EACCES: Reason.NO_PERMISSION,
}


@dataclass(frozen=True, order=True)
class Source:
    """An audio file, by its name or by its content.

    Attributes:
        path: relative to the folder, with ``/``; bytes that are not UTF-8 as decoded by `os.fsdecode`.
        size_bytes: of the file; of a link, its target.
        mtime_ns: time of its last change, in nanoseconds.
    """

    path: str
    size_bytes: int
    mtime_ns: int


@dataclass
class Scan:
    """Result of `scan_folder`: audio files sorted by path, rejects, and the number of other files."""

    sources: list[Source] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    other_files: int = 0


def scan_folder(folder: Path, skip: Iterable[Path] = ()) -> Scan:
    """List the audio below ``folder``.

    Real folders come first and links after them, each in the order of their names. So a file with several names is
    listed under its real one, and the result does not depend on the file system.

    Args:
        folder: root of the search; links are followed, also to other folders.
        skip: folders to ignore, such as that of converted files.

    Raises:
        NotADirectoryError: if ``folder`` is not one.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: no such folder of audio. Give the folder that holds the files.")
    walk = _Walk(folder, {_key(path.stat()) for path in skip if path.is_dir()})
    walk.enter(folder)
    while walk.links:
        # one at a time: a link may lead to a folder that contains links
        walk.follow(walk.links.pop(0))
    walk.scan.sources.sort()
    walk.scan.rejects.sort()
    return walk.scan


class _Walk:
    """The state of one search: folders and files seen, links still to follow."""

    def __init__(self, root: Path, skip: set[FileKey]) -> None:
        self.root = root
        self.skip = skip
        self.seen: set[FileKey] = set()
        self.links: list[Path] = []
        self.scan = Scan()

    def enter(self, folder: Path) -> None:
        """Search a folder and all real folders below it, without recursion."""
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            key = _key(current.stat())
            if key in self.skip:
                continue
            self.seen.add(key)
            try:  # without permission to enter a folder, only its names can be read
                entries = sorted((entry.name, entry.stat(follow_symlinks=False)) for entry in os.scandir(current))
            except PermissionError as error:
                self.reject(current, Reason.NO_PERMISSION, f"folder: {error.strerror}")
                continue
            folders = []
            for name, status in entries:
                path = current / name
                if stat.S_ISLNK(status.st_mode):
                    self.links.append(path)
                elif stat.S_ISDIR(status.st_mode):
                    folders.append(path)
                else:
                    self.add(path, status)
            waiting.extend(reversed(folders))

    def follow(self, link: Path) -> None:
        """Add the target of a link, unless it is listed already."""
        try:
            status = link.stat()
        except OSError as error:
            reason = LINK_FAILURES.get(error.errno or 0, Reason.UNREADABLE)
            self.reject(link, reason, f"{error.strerror}: leads to {link.readlink()}")
            return
        if _key(status) in self.skip:
            return
        if not stat.S_ISDIR(status.st_mode):
            self.add(link, status, is_link=True)
        elif _key(status) not in self.seen:
            self.enter(link)
        elif link.resolve() in [parent.resolve() for parent in link.parents]:
            self.reject(link, Reason.LINK_LOOP, f"leads to {link.readlink()}, which holds it")
        else:
            self.reject(link, Reason.DUPLICATE_LINK, f"leads to {link.readlink()}, which is listed already")

    def add(self, path: Path, status: os.stat_result, is_link: bool = False) -> None:
        """Classify a file: audio by name or content, a reject, or another file."""
        has_audio_name = path.suffix.lower() in CONTAINER_OF_EXTENSION
        if not stat.S_ISREG(status.st_mode):
            if has_audio_name:
                self.reject(path, Reason.NOT_A_FILE, "a device, socket or pipe")
            else:
                self.scan.other_files += 1
            return
        if is_link and _key(status) in self.seen:
            if has_audio_name:
                self.reject(path, Reason.DUPLICATE_LINK, f"leads to {path.readlink()}, which is listed already")
            return
        if not has_audio_name and not _has_audio_content(path):
            self.scan.other_files += 1
            return
        self.seen.add(_key(status))
        self.scan.sources.append(Source(self.relative(path), status.st_size, status.st_mtime_ns))

    def reject(self, path: Path, reason: Reason, detail: str) -> None:
        self.scan.rejects.append(Reject(self.relative(path), reason, detail))

    def relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _key(status: os.stat_result) -> FileKey:
    return status.st_dev, status.st_ino


def _has_audio_content(path: Path) -> bool:
    """Whether a file without an audio extension holds audio."""
    try:
        with path.open("rb") as stream:
            return is_audio_container(content_of(stream))
    except OSError:
        return False
