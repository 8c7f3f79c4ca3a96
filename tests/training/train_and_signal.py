"""``fairseq-hydra-train`` in which a rank and its data-loading processes get a signal after an update.

train_and_signal.py UPDATE SIGNAL RANK COMMAND ARGUMENTS...
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from fairseq.trainer import Trainer
from fairseq_cli.hydra_train import cli_main

set_num_updates = Trainer.set_num_updates


def count_and_signal(trainer: Trainer, num_updates: int) -> None:
    """Send the signal before the trainer starts the next update."""
    set_num_updates(trainer, num_updates)
    if num_updates == last_update and trainer.data_parallel_rank == rank:
        children = [child for each in Path("/proc/self/task").glob("*/children") for child in each.read_text().split()]
        subprocess.run(["kill", f"-{number}", *children, str(os.getpid())], check=True)


if __name__ == "__main__":
    last_update, number, rank = int(sys.argv[1]), signal.Signals[sys.argv[2]], int(sys.argv[3])
    sys.argv = sys.argv[4:]
    Trainer.set_num_updates = count_and_signal
    cli_main()
