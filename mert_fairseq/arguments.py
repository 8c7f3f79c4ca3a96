"""What the commands' parsers share: how help is shown, numbers above 0, and how many processes to start."""

import argparse
import math
import os
import shlex
from pathlib import Path


class Help(argparse.RawDescriptionHelpFormatter):
    """Descriptions as they are written, and behind each option the default that it has."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        """The text of an option, which argparse then fills in."""
        help_text, default = action.help or "", action.default
        shown = " ".join(map(str, default)) if isinstance(default, list | tuple) else str(default)
        says_nothing = default is None or default is False or shown in ("", argparse.SUPPRESS)
        if says_nothing or not action.option_strings or "default" in help_text:
            return help_text
        return f"{help_text} (default: {shown.replace('%', '%%')})".lstrip()


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


def check_checkout(script: str) -> None:
    """Stop if a script lies in one checkout and the library that it imports in another.

    Args:
        script: its ``__file__``.

    Raises:
        SystemExit: with both places and the remedy.
    """
    checkout = Path(script).resolve().parent.parent
    library = Path(__file__).resolve().parent
    if (checkout / library.name).is_dir() and (checkout / library.name) != library:
        raise SystemExit(
            f"{script} belongs to the checkout {checkout}, but Python imports {library.name} from {library.parent}. "
            f"Start the script of that one, or this one with PYTHONPATH={shlex.quote(str(checkout))}."
        )
