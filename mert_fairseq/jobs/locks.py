"""File locks: one run at a time. The system releases a lock when its process ends, however it ends."""

import fcntl
import logging
import os
from pathlib import Path
from types import TracebackType

logger = logging.getLogger(__name__)


class LockedError(BlockingIOError):
    """Another process holds the lock; the message says which file and what to do."""


class FileLock:
    """An exclusive lock on a file, which is created if needed.

    POSIX locks work between machines on network file systems that support them; on one without locks, a warning is
    logged and nothing is locked. The process must not open and close the file elsewhere while it holds the lock: the
    system would release it.

    Args:
        path: of the file.
        remedy: what to do if another run holds the lock, for the message.
    """

    def __init__(self, path: Path, remedy: str = "Wait for it to end.") -> None:
        self.path = path
        self._remedy = remedy
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            LockedError: if another process holds it.
        """
        while self._descriptor is None:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                self._lock(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if self._is_current(descriptor):
                self._descriptor = descriptor
            else:  # its last holder removed the file in the meantime
                os.close(descriptor)

    def release(self) -> None:
        """Let other runs in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:  # systems differ in which they raise
            raise LockedError(f"{self.path} is in use by another run. {self._remedy}") from error
        except OSError as error:
            logger.warning(f"{self.path}: this file system has no locks ({error}). Start no second run here.")

    def _is_current(self, descriptor: int) -> bool:
        try:
            current = self.path.stat()
        except FileNotFoundError:
            return False
        locked = os.fstat(descriptor)
        return (locked.st_ino, locked.st_dev) == (current.st_ino, current.st_dev)

    def __enter__(self) -> "FileLock":
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
