"""Checkpoints that are whole or absent: written beside their name, flushed to the disk, then renamed.

fairseq writes its first file that way (without flushing), but copies it onto ``checkpoint_last.pt`` in place, and a
full disk ends the training.
"""

import errno
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from fairseq.file_io import PathManager

from mert_fairseq.files import replacing

logger = logging.getLogger(__name__)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_unsaved: list[OSError] = []


class SafePathManager(PathManager):
    """fairseq's file functions, but a copy never shows half of itself."""

    @staticmethod
    def copy(src_path: str, dst_path: str, overwrite: bool = False) -> bool:
        """Copy a checkpoint; the old one stays until the new one is on the disk."""
        with replacing(dst_path) as partial:
            shutil.copyfile(src_path, partial)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        _flush_folder(Path(dst_path).parent)
        return True


def write_checkpoint(state: dict[str, Any], path: str, async_write: bool = False) -> None:
    """Write a checkpoint; the old one of that name stays until the new one is on the disk.

    Args:
        state: what torch.save takes.
        path: of the file.
        async_write: taken for fairseq's sake and not heeded.

    Raises:
        OSError: if there is no room, or the disk fails.
    """
    with replacing(path) as partial, partial.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch's own, after the system's error
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise
        file.flush()
        os.fsync(file.fileno())
    _flush_folder(Path(path).parent)


def _flush_folder(folder: Path) -> None:
    """Make the new name survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def surviving_save(save: Callable[..., str | None]) -> Callable[..., str | None]:
    """fairseq's ``save_checkpoint``, but a failing disk does not end the training."""

    def save_checkpoint(cfg: Any, trainer: Any, epoch_itr: Any, val_loss: float | None) -> str | None:
        try:
            saved = save(cfg, trainer, epoch_itr, val_loss)
        except OSError as error:
            remedy = "Free some space" if error.errno in NO_ROOM else "See to the disk"
            logger.error(
                f"NOT SAVED at update {trainer.get_num_updates()}: {cfg.save_dir}: {error}. Training goes on and the "
                f"checkpoints that were there stay. {remedy}: a run killed now loses what came after them."
            )
            _unsaved[:] = [error]
            return None
        _unsaved.clear()
        return saved

    return save_checkpoint


class _WithinEpoch:
    """An epoch's iterator that does not say that the epoch has ended."""

    def __init__(self, epoch_itr: Any) -> None:
        self._epoch_itr = epoch_itr

    def __getattr__(self, name: str) -> Any:
        return getattr(self._epoch_itr, name)

    def end_of_epoch(self) -> bool:
        return False


def saving_by_updates(save: Callable[..., str | None]) -> Callable[..., str | None]:
    """fairseq's ``save_checkpoint``, but an update to be saved keeps its file also where an epoch ends.

    fairseq then writes no ``checkpoint_{epoch}_{updates}.pt``, so that ``keep_interval_updates`` and its pattern lose
    the update, and removes no old ones.
    """

    def save_checkpoint(cfg: Any, trainer: Any, epoch_itr: Any, val_loss: float | None) -> str | None:
        interval, updates = cfg.save_interval_updates, trainer.get_num_updates()
        if not (epoch_itr.end_of_epoch() and interval > 0 and updates % interval == 0):
            return save(cfg, trainer, epoch_itr, val_loss)
        saved = save(cfg, trainer, _WithinEpoch(epoch_itr), val_loss)
        epoch = epoch_itr.epoch
        if saved and not cfg.no_epoch_checkpoints and epoch % cfg.save_interval == 0:
            SafePathManager.copy(saved, str(Path(cfg.save_dir) / f"checkpoint{epoch}{trainer.checkpoint_suffix}.pt"))
        return saved

    return save_checkpoint


def raise_if_unsaved() -> None:
    """End a training whose last checkpoint could not be written as a failure.

    Raises:
        OSError: what the disk said.
    """
    if _unsaved:
        raise OSError(_unsaved[0].errno, f"the last checkpoint was not saved ({_unsaved[0]})")
