"""What the three commands share: no noise of other libraries, and errors as one line."""

import logging
import sys
import warnings
from collections.abc import Callable

# Beginnings of warnings about the code of fairseq and torch, of no use to users.
NOISES = ("`torch.jit.script` is deprecated", "`torch.nn.utils.weight_norm` is deprecated")


def run_command(name: str, work: Callable[[], str]) -> int:
    """Do the work and print what it returns.

    Returns:
        The exit status: 0, or 1 with a message for wrong files, wrong options and missing libraries.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")  # before fairseq sets its own
    for noise in NOISES:
        warnings.filterwarnings("ignore", message=noise)
    try:
        print(work())
    except (ValueError, OSError, ImportError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0
