"""File locks: one run at a time. The system releases a lock when its process ends, also after a kill."""

import fcntl
import logging
import os
from pathlib import Path
from types import TracebackType

logger = logging.getLogger(__name__)


class LockedError(BlockingIOError):
    """Another process holds the lock; the message names the file and the remedy."""


class FileLock:
    """An exclusive POSIX lock on a file, which is created if needed.

    The lock also works between machines if their network file system supports locks. If it does not, a warning is
    logged and nothing is locked. While a process holds the lock, it must not open and close the file elsewhere: that
    releases the lock.

    Args:
        path: of the file.
        remedy: sentence for the error message.
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
            else:  # its last holder deleted the file meanwhile
                os.close(descriptor)

    def release(self) -> None:
        """Release the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:  # which one depends on the system
            raise LockedError(f"{self.path} is in use by another run. {self._remedy}") from error
        except OSError as error:
            logger.warning(f"{self.path}: this file system has no locks ({error}). Do not start a second run here.")

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
