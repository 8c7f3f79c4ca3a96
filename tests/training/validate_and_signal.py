"""``fairseq-hydra-train`` that gets SIGTERM in the middle of its first validation after an update.

validate_and_signal.py COMMAND ARGUMENTS...
"""

import os
import signal
import sys

from fairseq.trainer import Trainer
from fairseq_cli.hydra_train import cli_main

begin_valid_epoch = Trainer.begin_valid_epoch


def begin_and_signal(trainer: Trainer, epoch: int) -> None:
    """Start the validation, then send SIGTERM."""
    begin_valid_epoch(trainer, epoch)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    Trainer.begin_valid_epoch = begin_and_signal
    cli_main()
