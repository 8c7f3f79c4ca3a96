"""All replacements of fairseq's functions and methods in a training rank, in one table.

==================================  ============================  ====================================================
fairseq                             here                          why
==================================  ============================  ====================================================
checkpoint_utils:
``torch_persistent_save``           ``saving.write_checkpoint``   flushed to disk before it is renamed
``PathManager``                     ``saving.SafePathManager``    ``checkpoint_last.pt`` is copied the same way
``save_checkpoint``                 wrapped by ``saving``         a full disk does not end the training; an update to be
                                                                  saved also gets its own file at the end of an epoch
..                                  and ``training_stats``        first reads all pending logged values
``load_checkpoint``                 wrapped by ``resuming``       falls back to the last valid one; any number of ranks
fairseq_cli.train:
``validate_and_save``               wrapped by ``stopping``       saves and exits on a stop signal
..                                  and ``training_stats``        reads all pending logged values when an epoch ends
``validate``                        wrapped by ``training_stats`` reads all pending logged values; a non-finite loss is
                                                                  ignored
..                                  and ``dashboards``            draws the task's picture afterwards
trainer.Trainer:
``train_step``,                     ``gradient_norm``             one read per update; an error on all ranks that names
``clip_grad_norm``,                                               the terms of the loss that are not finite
``_check_grad_norms``
``_aggregate_logging_outputs``,     ``training_stats``            one collective, including the stop signals; logs are
``_fast_stat_sync_sum``,                                          read once per logging interval
``_reduce_and_log_stats``
``_build_optimizer``                ``resuming``                  ``adam`` and ``fused_adamw`` load each other's state
logging.progress_bar:
``_log_to_tensorboard``,            ``dashboards``                readable names; a full disk does not stop the training
``_log_to_wandb``,
``WandBProgressBarWrapper``                                       one run per process, not one folder per epoch
optim:
``FP16Optimizer``                   ``half_precision``            saves the float32 weights; copies with few kernels
``AMPOptimizer.step``               ``half_precision``            divides by the loss scale only once
distributed.utils:
``all_gather_list``                 ``gather_objects``            on CPUs only; fairseq's version needs CUDA tensors
==================================  ============================  ====================================================
"""

from typing import Any

import torch
from fairseq import checkpoint_utils
from fairseq.distributed import utils as fairseq_distributed

from mert_fairseq.checkpointing import resuming
from mert_fairseq.checkpointing.saving import SafePathManager, keep_update_files, save_or_log, write_checkpoint
from mert_fairseq.distributed import dashboards, gradient_norm, training_stats
from mert_fairseq.distributed.stopping import stop_on_signal
from mert_fairseq.optimizers import half_precision

# (class, method, replacement)
TRAINING = [
    *gradient_norm.REPLACED,
    *training_stats.REPLACED,
    *resuming.REPLACED,
    *half_precision.REPLACED,
    *dashboards.REPLACED,
]
_installed = False


def install() -> None:
    """Make all replacements of the table, once per process."""
    global _installed
    if _installed:
        return
    import fairseq_cli.train as fairseq_train

    _installed = True
    checkpoint_utils.torch_persistent_save = write_checkpoint
    checkpoint_utils.PathManager = SafePathManager
    checkpoint_utils.save_checkpoint = training_stats.flush_before_save(
        save_or_log(keep_update_files(checkpoint_utils.save_checkpoint))
    )
    checkpoint_utils.load_checkpoint = resuming.load_with_fallback(checkpoint_utils.load_checkpoint)
    fairseq_train.validate_and_save = training_stats.flush_after_epoch(stop_on_signal(fairseq_train.validate_and_save))
    fairseq_train.validate = training_stats.flush_before_validation(
        dashboards.draw_after_validation(training_stats.ignore_nonfinite_losses(fairseq_train.validate))
    )
    for owner, name, replacement in TRAINING:
        setattr(owner, name, replacement)
    if torch.distributed.is_initialized() and torch.distributed.get_backend() == "gloo":
        fairseq_distributed.all_gather_list = gather_objects


def gather_objects(data: Any, group: Any = None, max_size: int = 0) -> list[Any]:
    """The data of each rank, in the order of ranks."""
    gathered = [None] * torch.distributed.get_world_size(group)
    torch.distributed.all_gather_object(gathered, data, group=group)
    return gathered
