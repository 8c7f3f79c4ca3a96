"""Saves checkpoints so that a file is complete or absent: write to a temporary file, flush to disk, then rename.

fairseq saves its first file that way, but without the flush. It then copies that file over ``checkpoint_last.pt`` in
place, and a full disk ends the training.
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
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_failed_save: list[OSError] = []


class SafePathManager(PathManager):
    """fairseq's file functions, except that a copy is never visible before it is complete."""

    @staticmethod
    def copy(src_path: str, dst_path: str, overwrite: bool = False) -> bool:
        """Copy a checkpoint; an existing file stays until the new one is on disk."""
        with replacing(dst_path) as partial:
            shutil.copyfile(src_path, partial)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        _flush_folder(Path(dst_path).parent)
        return True


def write_checkpoint(state: dict[str, Any], path: str, async_write: bool = False) -> None:
    """Write a checkpoint; an existing file of that name stays until the new one is on disk.

    Args:
        state: for torch.save.
        path: of the file.
        async_write: ignored; required by fairseq's interface.

    Raises:
        OSError: if the disk is full or fails.
    """
    with replacing(path) as partial, partial.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch raises this after the system's error
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise
        file.flush()
        os.fsync(file.fileno())
    _flush_folder(Path(path).parent)


def _flush_folder(folder: Path) -> None:
    """Flush the folder, so that the new name survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def save_or_log(save: Callable[..., str | None]) -> Callable[..., str | None]:
    """Wraps fairseq's ``save_checkpoint``: a disk error is logged and does not end the training."""

    def save_checkpoint(cfg: Any, trainer: Any, epoch_itr: Any, val_loss: float | None) -> str | None:
        try:
            saved = save(cfg, trainer, epoch_itr, val_loss)
        except OSError as error:
            remedy = "Free some space" if error.errno in DISK_FULL else "Check the disk"
            logger.error(
                f"NOT SAVED at update {trainer.get_num_updates()}: {cfg.save_dir}: {error}. Training continues, and "
                f"earlier checkpoints are kept. {remedy}: if the run is killed now, it loses the updates since then."
            )
            _failed_save[:] = [error]
            return None
        _failed_save.clear()
        return saved

    return save_checkpoint


class _WithinEpoch:
    """An epoch's iterator that never reports the end of the epoch."""

    def __init__(self, epoch_itr: Any) -> None:
        self._epoch_itr = epoch_itr

    def __getattr__(self, name: str) -> Any:
        return getattr(self._epoch_itr, name)

    def end_of_epoch(self) -> bool:
        return False


def keep_update_files(save: Callable[..., str | None]) -> Callable[..., str | None]:
    """Wraps fairseq's ``save_checkpoint``: also at the end of an epoch, an update to be saved gets its own file.

    fairseq alone writes no ``checkpoint_{epoch}_{updates}.pt`` there and removes no old one, so that
    ``keep_interval_updates`` and its pattern miss the update.
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
    """Fail if the last checkpoint of the training could not be written.

    Raises:
        OSError: the error of that save.
    """
    if _failed_save:
        raise OSError(_failed_save[0].errno, f"the last checkpoint was not saved ({_failed_save[0]})")
