"""One run at a time: a lock on an open file, given up by the system when its holder ends, however it ends."""

import fcntl
from typing import IO


def hold(file: IO[str], what: str, other: str) -> None:
    """Lock ``file`` until it is closed; without effect on a network file system that has no locks.

    Args:
        file: opened for writing.
        what: is locked, for the message.
        other: what to give instead, for the message.

    Raises:
        BlockingIOError: if another process holds it.
    """
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:  # systems do not agree on which
        raise BlockingIOError(
            f"{what} is in use by another run. Wait for it to end, or give another {other}."
        ) from error
    except OSError:
        pass
