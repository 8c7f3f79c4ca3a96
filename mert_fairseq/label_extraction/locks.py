"""One process at a time: a lock on a file, given up by the system when its holder ends, however it ends."""

import fcntl
import os
from pathlib import Path

from mert_fairseq.label_extraction.label_job import LabelJobError


class Lock:
    """An exclusive lock on ``path``; works between machines on network file systems that support POSIX locks."""

    def __init__(self, path: Path):
        self.path = path
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take the lock, or say that another has it.

        Raises:
            LabelJobError: if another process holds it.
        """
        while self._descriptor is None:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError) as error:
                os.close(descriptor)
                raise LabelJobError(
                    f"{self.path}: another job is at work here. Wait for it to end; what it finishes is kept."
                ) from error
            except BaseException:
                os.close(descriptor)
                raise
            if self._is_current(descriptor):
                self._descriptor = descriptor
            else:  # its last holder removed the file in the meantime
                os.close(descriptor)

    def give_back(self) -> None:
        """Let others in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _is_current(self, descriptor: int) -> bool:
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(descriptor)
        return (here.st_ino, here.st_dev) == (there.st_ino, there.st_dev)
