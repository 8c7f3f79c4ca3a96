"""NumPy archives (.npz) of arrays and one JSON object, written whole and read without executing anything in them."""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from mert_fairseq.files import replacing


def save_npz(path: str | Path, key: str, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write an archive; the same content gives the same bytes.

    Args:
        path: of the file.
        key: under which ``about`` is kept, as JSON.
        about: what JSON holds.
        arrays: by name, of numbers.
    """
    stored: dict[str, Any] = {key: np.array(json.dumps(about, sort_keys=True)), **arrays}
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **stored)


def load_npz(
    path: str | Path, key: str, names: Sequence[str], what: str, remedy: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what ``save_npz`` wrote.

    Args:
        path: of the file.
        key: of the JSON object.
        names: of the arrays wanted.
        what: the file should be, for messages, such as "K-means teacher".
        remedy: a sentence that says how to make one.

    Returns:
        The JSON object, and the arrays by name.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, holds pickled objects, or lacks one of the names.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such {what}. {remedy}")
    try:
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(str(stored[key]))
            arrays = {name: stored[name] for name in names}
        if not isinstance(about, dict):
            raise TypeError(f"{key} is a {type(about).__name__}")
    except (BadZipFile, zlib.error, EOFError, KeyError, TypeError, OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as a {what} ({error}). {remedy}") from error
    return about, arrays
