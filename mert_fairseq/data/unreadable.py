"""Tracks that could not be read in an epoch, counted over all workers of a process; too many are an error."""

import logging

import torch

logger = logging.getLogger(__name__)


class TooManyUnreadableError(RuntimeError):
    """More of an epoch's tracks could not be read than task.max_unreadable_share allows."""


def check_share(found: int, tracks: int, max_share: float, example: str = "") -> None:
    """Stop if too many tracks of an epoch failed.

    Raises:
        TooManyUnreadableError: with the count, the limit and the remedy.
    """
    if found > max_share * tracks:
        raise TooManyUnreadableError(
            f"found {found} of {tracks} tracks unreadable in this epoch, expected at most {max_share:.2%} "
            f"(task.max_unreadable_share). {example}The log names each of them: repair or remove them, check with "
            f"mert-check-data, or raise the share."
        )


class UnreadableTracks:
    """Flags in shared memory, one byte a track, that worker processes set and all of them see."""

    def __init__(self, tracks: int, max_share: float) -> None:
        self._flags = torch.zeros(tracks, dtype=torch.uint8).share_memory_()
        self._max_share = max_share

    def __contains__(self, track: int) -> bool:
        return bool(self._flags[track])

    @property
    def count(self) -> int:
        return int(self._flags.sum())

    def clear(self) -> None:
        self._flags.zero_()

    def add(self, track: int, error: Exception) -> None:
        """Count a track and log why it failed; a track counts once an epoch.

        Raises:
            TooManyUnreadableError: from then on when too many failed.
        """
        self._flags[track] = 1
        logger.warning(f"unreadable, another clip takes its place: {error}")
        check_share(self.count, len(self._flags), self._max_share, f"The last: {error} ")
