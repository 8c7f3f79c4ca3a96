"""TensorBoard and Weights & Biases: readable names, pictures, and a full disk that does not end the training.

``REPLACED`` lists the methods that replace those of fairseq's two progress bars.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from fairseq.logging import progress_bar
from fairseq.logging.progress_bar import TensorboardProgressBarWrapper, WandBProgressBarWrapper
from omegaconf import DictConfig
from PIL import Image
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import directory_check

from mert_fairseq.distributed.metric_names import readable_values

PICTURE = "pictures/CQT_and_prediction"
logger = logging.getLogger(__name__)


class EventFile:
    """An event file of TensorBoard, written and flushed in the calling thread.

    The ``SummaryWriter`` that fairseq uses writes in a thread of its own. When the disk is full that thread ends, and
    the training then waits for it forever.

    Args:
        folder: created if it is missing.
    """

    _numbers = count()  # names differ, even of two files in one second

    def __init__(self, folder: str) -> None:
        directory_check(folder)
        self._events = EventsWriter(f"{folder}/events", f".{os.getpid()}.{next(EventFile._numbers)}")

    def add(self, summaries: list[Any], step: int) -> None:
        """Append summaries of an update."""
        for each in summaries:
            self._events.write_event(Event(wall_time=time.time(), step=step, summary=each))
        self._events.flush()

    def close(self) -> None:
        """Close the file; fairseq calls this at the end."""
        self._events.close()


def log_to_tensorboard(
    self: TensorboardProgressBarWrapper, stats: Mapping[str, Any], tag: str | None = None, step: int | None = None
) -> None:
    """Replaces fairseq's ``_log_to_tensorboard``."""
    scalars = [summary.scalar(name, value) for name, value in readable_values(stats).items()]
    _add_events(self.tensorboard_logdir, tag or "", scalars, stats["num_updates"] if step is None else step)


def _add_events(logdir: str, tag: str, summaries: list[Any], step: int) -> None:
    """Append to the event file of a tag. If that fails, log a warning; the next call starts another file."""
    files = progress_bar._tensorboard_writers  # fairseq closes these at the end
    try:
        if tag not in files:
            files[tag] = EventFile(f"{logdir}/{tag}")
        files[tag].add(summaries, step)
    except OSError as error:
        files.pop(tag, None)
        logger.warning(f"common.tensorboard_logdir={logdir}: update {step} is not logged there ({error})")


def init_wandb(
    self: WandBProgressBarWrapper, wrapped_bar: Any, wandb_project: str, run_name: str | None = None
) -> None:
    """Replaces fairseq's ``__init__``: one run per process.

    fairseq asks for the run again in each epoch and validation, for which wandb makes an empty folder every time.
    """
    self.wrapped_bar = wrapped_bar
    if progress_bar.wandb.run is None:
        progress_bar.wandb.init(project=wandb_project, name=run_name)


def log_to_wandb(
    self: WandBProgressBarWrapper, stats: Mapping[str, Any], tag: str | None = None, step: int | None = None
) -> None:
    """Replaces fairseq's ``_log_to_wandb``; one call for all values."""
    prefix = f"{tag}/" if tag else ""
    values = {f"{prefix}{name}": value for name, value in readable_values(stats).items()}
    progress_bar.wandb.log(values, step=stats["num_updates"] if step is None else step)


def draw_after_validation(validate: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps fairseq's ``validate``: afterwards rank 0 draws the task's picture, if one is due, and logs it.

    An error while drawing is logged and does not end the training.
    """

    def validate_and_draw(cfg: DictConfig, trainer: Any, task: Any, epoch_itr: Any, subsets: list[str]) -> Any:
        losses = validate(cfg, trainer, task, epoch_itr, subsets)
        if hasattr(task, "draw_picture") and trainer.data_parallel_rank == 0:
            update = trainer.get_num_updates()
            folder = Path(cfg.checkpoint.save_dir) / "pictures"
            try:
                if path := task.draw_picture(trainer.get_model(), subsets[0], update, folder):
                    log_picture(cfg, subsets[0], path, update)
            except Exception as error:  # whatever it is: a picture is not worth a training
                logger.warning(f"no picture at update {update}: {error!r}. Training continues.")
        return losses

    return validate_and_draw


def log_picture(cfg: DictConfig, tag: str, path: Path, update: int) -> None:
    """Log a PNG wherever the training logs its values."""
    logger.info(f"picture of update {update}: {path}")
    if logdir := cfg.common.tensorboard_logdir:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        _add_events(logdir, tag, [summary.image(PICTURE, pixels, dataformats="HWC")], update)
    if progress_bar.wandb is not None and progress_bar.wandb.run is not None:
        progress_bar.wandb.log({f"{tag}/{PICTURE}": progress_bar.wandb.Image(str(path))}, step=update)


def check_dashboards(cfg: DictConfig) -> None:
    """Refuse logs and pictures that the training could not write.

    Raises:
        ValueError: the message names the option and the remedy.
    """
    if (project := cfg.common.get("wandb_project")) and progress_bar.wandb is None:
        raise ValueError(
            f"common.wandb_project={project}: found no package wandb. Install it with "
            f"pip install 'mert_fairseq[log]', or remove the option."
        )
    interval = (cfg.get("task") or {}).get("picture_interval_updates", 0)
    if interval and cfg.dataset.disable_validation:
        raise ValueError(
            f"task.picture_interval_updates={interval}: pictures are drawn after a validation, but "
            f"dataset.disable_validation is true. Set it to false, or task.picture_interval_updates=0."
        )
    if interval and cfg.distributed_training.ddp_backend == "fully_sharded":
        raise ValueError(
            f"task.picture_interval_updates={interval}: rank 0 draws alone, but with "
            f"distributed_training.ddp_backend=fully_sharded no rank has the whole model. Set "
            f"task.picture_interval_updates=0, or another ddp_backend."
        )


REPLACED: list[tuple[type, str, Callable[..., Any]]] = [
    (TensorboardProgressBarWrapper, "_log_to_tensorboard", log_to_tensorboard),
    (WandBProgressBarWrapper, "__init__", init_wandb),
    (WandBProgressBarWrapper, "_log_to_wandb", log_to_wandb),
]
