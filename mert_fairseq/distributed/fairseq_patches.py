"""What of fairseq is replaced while a rank trains, in one list.

==================================  ============================  ====================================================
of fairseq                          here                          why
==================================  ============================  ====================================================
checkpoint_utils:
``torch_persistent_save``           ``saving.write_checkpoint``   flushed to the disk before it takes its name
``PathManager``                     ``saving.SafePathManager``    ``checkpoint_last.pt`` is copied likewise
``save_checkpoint``                 wrapped by ``saving``         a full disk does not end the training; an update to be
                                                                  saved has a file of its own where an epoch ends too
..                                  and ``training_stats``        after all that was logged has been read
``load_checkpoint``                 wrapped by ``loading``        falls back to the last whole one; any number of ranks
fairseq_cli.train:
``validate_and_save``               wrapped by ``stopping``       saves and leaves when asked to
..                                  and ``training_stats``        reads what was logged when an epoch ends
``validate``                        wrapped by ``training_stats`` a loss that is not finite does no harm
trainer.Trainer:
``train_step``,                     ``gradient_norm``             one read per update; an error that names the term of
``clip_grad_norm``,                                               the loss that is not finite, on all ranks
``_check_grad_norms``
``_aggregate_logging_outputs``,     ``training_stats``            one collective, with the signals to stop; logs are
``_fast_stat_sync_sum``,                                          read once per logging interval
``_reduce_and_log_stats``
``_build_optimizer``                ``optimizer_state``           ``adam`` and ``fused_adamw`` load each other's state
optim:
``FP16Optimizer``                   ``half_precision``            saves the float32 weights; copies in few kernels
``AMPOptimizer.step``               ``half_precision``            divides by the loss scale once
distributed.utils:
``all_gather_list``                 ``gather_objects``            on CPUs only: fairseq's needs CUDA tensors
==================================  ============================  ====================================================
"""

from typing import Any

import torch
from fairseq import checkpoint_utils
from fairseq.distributed import utils as fairseq_distributed

from mert_fairseq.checkpointing import optimizer_state
from mert_fairseq.checkpointing.loading import falling_back
from mert_fairseq.checkpointing.saving import SafePathManager, saving_by_updates, surviving_save, write_checkpoint
from mert_fairseq.distributed import gradient_norm, training_stats
from mert_fairseq.distributed.stopping import stopping_validate_and_save
from mert_fairseq.optimizers import half_precision

# (class, method, replacement)
TRAINING = [
    *gradient_norm.REPLACED,
    *training_stats.REPLACED,
    *optimizer_state.REPLACED,
    *half_precision.REPLACED,
]
_installed = False


def install() -> None:
    """Replace what the table lists, once a process."""
    global _installed
    if _installed:
        return
    import fairseq_cli.train as fairseq_train

    _installed = True
    checkpoint_utils.torch_persistent_save = write_checkpoint
    checkpoint_utils.PathManager = SafePathManager
    checkpoint_utils.save_checkpoint = training_stats.flushing_save(
        surviving_save(saving_by_updates(checkpoint_utils.save_checkpoint))
    )
    checkpoint_utils.load_checkpoint = falling_back(checkpoint_utils.load_checkpoint)
    fairseq_train.validate_and_save = training_stats.flushing_validate_and_save(
        stopping_validate_and_save(fairseq_train.validate_and_save)
    )
    fairseq_train.validate = training_stats.finite_validate(fairseq_train.validate)
    for owner, name, replacement in TRAINING:
        setattr(owner, name, replacement)
    if torch.distributed.is_initialized() and torch.distributed.get_backend() == "gloo":
        fairseq_distributed.all_gather_list = gather_objects


def gather_objects(data: Any, group: Any = None, max_size: int = 0) -> list[Any]:
    """What each rank gives, in the order of ranks."""
    everyone = [None] * torch.distributed.get_world_size(group)
    torch.distributed.all_gather_object(everyone, data, group=group)
    return everyone
