"""What of fairseq is replaced while a rank trains, in one list.

==================================  ============================  ====================================================
of fairseq                          here                          why
==================================  ============================  ====================================================
checkpoint_utils:
``torch_persistent_save``           ``saving.write_checkpoint``   flushed to the disk before it takes its name
``PathManager``                     ``saving.SafePathManager``    ``checkpoint_last.pt`` is copied likewise
``save_checkpoint``                 wrapped by ``saving``         a full disk does not end the training; an update to be
                                                                  saved has a file of its own where an epoch ends too
``load_checkpoint``                 wrapped by ``loading``        falls back to the last whole one; any number of ranks
fairseq_cli.train:
``validate_and_save``               wrapped by ``stopping``       saves and leaves when asked to
distributed.utils:
``all_gather_list``                 ``gather_objects``            on CPUs only: fairseq's needs CUDA tensors
==================================  ============================  ====================================================
"""

from typing import Any

import torch
from fairseq import checkpoint_utils
from fairseq.distributed import utils as fairseq_distributed

from mert_fairseq.checkpointing.loading import falling_back
from mert_fairseq.checkpointing.saving import SafePathManager, saving_by_updates, surviving_save, write_checkpoint
from mert_fairseq.distributed.stopping import stopping_validate_and_save

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
    checkpoint_utils.save_checkpoint = surviving_save(saving_by_updates(checkpoint_utils.save_checkpoint))
    checkpoint_utils.load_checkpoint = falling_back(checkpoint_utils.load_checkpoint)
    fairseq_train.validate_and_save = stopping_validate_and_save(fairseq_train.validate_and_save)
    if torch.distributed.is_initialized() and torch.distributed.get_backend() == "gloo":
        fairseq_distributed.all_gather_list = gather_objects


def gather_objects(data: Any, group: Any = None, max_size: int = 0) -> list[Any]:
    """What each rank gives, in the order of ranks."""
    everyone = [None] * torch.distributed.get_world_size(group)
    torch.distributed.all_gather_object(everyone, data, group=group)
    return everyone
