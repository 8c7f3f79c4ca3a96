"""Write files and folders atomically, read JSON objects, and escape text for table cells."""

import json
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Write to the yielded temporary path beside ``path``; it is renamed to ``path`` if no exception is raised.

    If the process is killed, the temporary file stays until the next attempt overwrites it.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Write to the yielded temporary folder beside ``path``; it is renamed to ``path`` if no exception is raised.

    If the process is killed, the temporary folder stays until the next attempt replaces it.

    Raises:
        FileExistsError: if ``path`` is a file, or a folder that is not empty.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f"{path}: exists already. Give the name of a new folder.")
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Write UTF-8 text with a line end after each line; replaces an existing file only when complete."""
    with replacing(path) as partial:
        partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def read_json_object(path: Path, remedy: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: the file.
        remedy: for messages.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a JSON object.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. {remedy}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: is not valid JSON ({error}). {remedy}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: found a {type(content).__name__}, expected a JSON object. {remedy}")
    return content


def escape(text: str) -> str:
    r"""Escape text for a table cell: backslashes and controls as in Python, bytes that are not UTF-8 as ``\xNN``."""
    cells = []
    for character in text:
        code = ord(character)
        if character == "\\":
            cells.append("\\\\")
        elif 0xDC80 <= code <= 0xDCFF:  # os.fsdecode's character for a byte that is not UTF-8
            cells.append(f"\\x{code - 0xDC00:02x}")
        elif unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs"):
            cells.append(character.encode("unicode_escape").decode("ascii"))
        else:
            cells.append(character)
    return "".join(cells)
