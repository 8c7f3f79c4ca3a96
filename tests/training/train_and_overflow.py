"""``fairseq-hydra-train`` in which the CQT head of one rank returns NaN in one update.

train_and_overflow.py UPDATE RANK COMMAND ARGUMENTS...
"""

import math
import sys
from typing import Any

from fairseq.trainer import Trainer
from fairseq_cli.hydra_train import cli_main

set_num_updates = Trainer.set_num_updates


def count_and_break(trainer: Trainer, num_updates: int) -> None:
    """Make the head return NaN from the next update on."""
    set_num_updates(trainer, num_updates)
    if num_updates == last_update and trainer.data_parallel_rank == rank:
        head: Any = trainer.get_model().encoder_cqt_model
        head.fc.register_forward_hook(lambda module, inputs, output: output * math.nan)


if __name__ == "__main__":
    last_update, rank = int(sys.argv[1]), int(sys.argv[2])
    sys.argv = sys.argv[3:]
    Trainer.set_num_updates = count_and_break
    cli_main()
