"""``fairseq-hydra-train`` whose rank 0 writes the gradients of the first update, as the optimizer will get them.

train_and_keep_gradients.py FILE COMMAND ARGUMENTS...
"""

import sys
from pathlib import Path

import torch
from fairseq.trainer import Trainer
from fairseq_cli.hydra_train import cli_main

from mert_fairseq.distributed.fairseq_patches import TRAINING
from mert_fairseq.distributed.gradient_norm import clip_grad_norm


def keep_and_clip(trainer: Trainer, clip_norm: float) -> torch.Tensor:
    """Save the gradients: summed over ranks, divided by the masked frames of all ranks, and not yet clipped."""
    if trainer.data_parallel_rank == 0 and trainer.get_num_updates() == 0:
        gradients = {name: p.grad for name, p in trainer.get_model().named_parameters() if p.grad is not None}
        torch.save(gradients, file)
    return clip_grad_norm(trainer, clip_norm)


if __name__ == "__main__":
    file = Path(sys.argv[1])
    sys.argv = sys.argv[2:]
    TRAINING.append((Trainer, "clip_grad_norm", keep_and_clip))
    cli_main()
