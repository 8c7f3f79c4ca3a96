"""``fairseq-hydra-train`` that kills itself with SIGKILL after an update.

train_and_die.py UPDATE COMMAND ARGUMENTS...
"""

import os
import signal
import sys

from fairseq.trainer import Trainer
from fairseq_cli.hydra_train import cli_main

set_num_updates = Trainer.set_num_updates


def count_and_die(trainer: Trainer, num_updates: int) -> None:
    """Kill the process before the trainer starts the next update."""
    set_num_updates(trainer, num_updates)
    if num_updates == last_update:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    last_update = int(sys.argv[1])
    sys.argv = sys.argv[2:]
    Trainer.set_num_updates = count_and_die
    cli_main()
