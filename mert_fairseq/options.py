"""Options: fields of fairseq's configurations, lists that recipes write as text, and what is refused."""

import ast
from collections.abc import Sequence
from dataclasses import field
from typing import Any


def option(default: Any, help_text: str) -> Any:
    """A field of a configuration: its default, and what ``--help`` says of it."""
    return field(default=default, metadata={"help": help_text})


def number_list(name: str, text: str | Sequence[float]) -> list[float]:
    """Read ``"[8000, 24000]"``, or a list that is one already.

    Args:
        name: of the option, for the message.
        text: a Python list or tuple of numbers.

    Raises:
        ValueError: if it is anything else.
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


def refuse_changed(options: Sequence[tuple[str, object, object, str]]) -> None:
    """Refuse options that have no effect here, unless they stand at their default.

    Args:
        options: (name, value, default, remedy).

    Raises:
        ValueError: naming the first option that was changed, what it is, and what to do instead.
    """
    for name, value, default, remedy in options:
        if value != default:
            raise ValueError(f"{name} is {value!r}; only {default!r} is supported. {remedy}")
