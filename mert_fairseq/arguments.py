"""What the commands' parsers share: numbers above 0, and how many processes to start."""

import argparse
import math
import os


def default_workers() -> int:
    """The cores that this process may use: on a cluster, fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def positive_int(text: str) -> int:
    """An option's type: a whole number above 0."""
    number = int(text) if text.isdecimal() else 0
    if number == 0:
        raise argparse.ArgumentTypeError(f"found {text}, expected a whole number above 0")
    return number


def positive_float(text: str) -> float:
    """An option's type: a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"found {text}, expected a number above 0")
    return number
