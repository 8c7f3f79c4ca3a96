"""Shared by the argument parsers of all commands: help format, types for positive numbers, number of workers."""

import argparse
import math
import os
import shlex
from pathlib import Path


class Help(argparse.RawDescriptionHelpFormatter):
    """Help with descriptions as written, and the default after each option."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        """Help text of an option, before argparse fills in its values."""
        help_text, default = action.help or "", action.default
        shown = " ".join(map(str, default)) if isinstance(default, list | tuple) else str(default)
        says_nothing = default is None or default is False or shown in ("", argparse.SUPPRESS)
        if says_nothing or not action.option_strings or "default" in help_text:
            return help_text
        return f"{help_text} (default: {shown.replace('%', '%%')})".lstrip()


def default_workers() -> int:
    """Number of cores that this process may use; on a cluster, this can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def positive_int(text: str) -> int:
    """Option type: a whole number above 0."""
    number = int(text) if text.isdecimal() else 0
    if number == 0:
        raise argparse.ArgumentTypeError(f"found {text}, expected a whole number above 0")
    return number


def positive_float(text: str) -> float:
    """Option type: a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"found {text}, expected a number above 0")
    return number


def check_checkout(script: str) -> None:
    """Stop if a script and the library that it imports are in different checkouts.

    Args:
        script: ``__file__`` of the script.

    Raises:
        SystemExit: with both paths and the remedy.
    """
    checkout = Path(script).resolve().parent.parent
    library = Path(__file__).resolve().parent
    if (checkout / library.name).is_dir() and (checkout / library.name) != library:
        raise SystemExit(
            f"{script} belongs to the checkout {checkout}, but Python imports {library.name} from {library.parent}. "
            f"Start the script of that checkout, or this script with PYTHONPATH={shlex.quote(str(checkout))}."
        )
