"""How every command runs: it prints its result, or one line with the error, and returns an exit status."""

import logging
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

RESUMABLE = "the same command continues where it stopped"
FROM_THE_BEGINNING = "the same command starts again from the beginning"
PIPE_CLOSED = 128 + 13  # what the shell reports for a command that SIGPIPE ended
# Beginnings of warnings about the code of fairseq and torch, of no use to users.
IGNORED_WARNINGS = (
    "`torch.jit.script` is deprecated",
    "`torch.nn.utils.weight_norm` is deprecated",
    "'pin_memory' argument",
)


class JobError(RuntimeError):
    """A job cannot continue; the message says where, why, and what to do."""


def quiet_libraries() -> None:
    """Show only warnings that users can act on, in a format that fairseq has not set if it is not yet imported."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    logging.getLogger().setLevel(logging.WARNING)  # basicConfig leaves the level alone once there is a handler
    ignore_warnings()


def ignore_warnings() -> None:
    """Hide warnings about the code of fairseq and torch; within ``warnings.catch_warnings`` only for a while."""
    for beginning in IGNORED_WARNINGS:
        warnings.filterwarnings("ignore", message=beginning)


def run_command(prog: str, action: Callable[[], str], interrupted: str = RESUMABLE) -> int:
    """Run ``action`` and print the text that it returns; print user errors to standard error.

    Args:
        prog: name of the command, for error messages.
        action: does the work and returns what to print.
        interrupted: what happens to the work after Ctrl-C.

    Returns:
        The exit status: 0 done, 1 wrong input or a failed job, 130 interrupted, 141 nobody reads the output any more.
    """
    try:
        text = action()
    except (ValueError, OSError, JobError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{prog}: interrupted; {interrupted}", file=sys.stderr)
        return 130
    return print_result(text)


def print_result(text: str) -> int:
    """Print the result of a command; returns the exit status: 0, or 141 if nobody reads the output any more."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The reader, such as head, has seen enough. Python flushes at exit, which would fail again.
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return PIPE_CLOSED
    return 0
