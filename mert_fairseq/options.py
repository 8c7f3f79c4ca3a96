"""Fields of fairseq configurations, lists that recipes write as text, and options that must keep their default."""

import ast
from collections.abc import Sequence
from dataclasses import field
from typing import Any


def option(default: Any, help_text: str) -> Any:
    """A field of a configuration with its default and its text for ``--help``."""
    return field(default=default, metadata={"help": help_text})


def number_list(name: str, text: str | Sequence[float]) -> list[float]:
    """Read a list of numbers from text such as ``"[8000, 24000]"``.

    Args:
        name: of the option, for the message.
        text: a Python list or tuple of numbers, as text or as it is.

    Raises:
        ValueError: for any other value.
    """
    try:
        values = ast.literal_eval(text) if isinstance(text, str) else list(text)
    except (SyntaxError, ValueError):
        values = None
    if not isinstance(values, list | tuple) or any(
        isinstance(v, bool) or not isinstance(v, int | float) for v in values
    ):
        raise ValueError(f"{name} is {text!r}, expected a list of numbers such as '[8000, 24000]'.")
    return list(values)


def require_defaults(options: Sequence[tuple[str, object, object, str]]) -> None:
    """Check that options without effect here have their default value.

    Args:
        options: (name, value, default, remedy).

    Raises:
        ValueError: naming the first changed option, its value, and the remedy.
    """
    for name, value, default, remedy in options:
        if value != default:
            raise ValueError(f"{name} is {value!r}; only {default!r} is supported. {remedy}")
