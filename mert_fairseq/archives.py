"""NumPy archives (.npz) with arrays and one JSON object: written atomically, and read without pickle."""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from mert_fairseq.files import replacing


def save_npz(path: str | Path, key: str, metadata: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write an archive; the same content produces the same bytes.

    Args:
        path: of the file.
        key: name of the JSON object in the archive.
        metadata: values for JSON.
        arrays: numeric arrays by name.
    """
    stored: dict[str, Any] = {key: np.array(json.dumps(metadata, sort_keys=True)), **arrays}
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **stored)


def load_npz(
    path: str | Path, key: str, names: Sequence[str], what: str, remedy: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read an archive of ``save_npz``.

    Args:
        path: of the file.
        key: name of the JSON object.
        names: names of the arrays to read.
        what: kind of file for messages, such as "K-means teacher".
        remedy: sentence that says how to make the file.

    Returns:
        The JSON object, and the arrays by name.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, contains pickled objects, or lacks one of the names.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such {what}. {remedy}")
    try:
        with np.load(path, allow_pickle=False) as stored:
            metadata = json.loads(str(stored[key]))
            arrays = {name: stored[name] for name in names}
        if not isinstance(metadata, dict):
            raise TypeError(f"{key} is a {type(metadata).__name__}")
    except (BadZipFile, zlib.error, EOFError, KeyError, TypeError, OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as a {what} ({error}). {remedy}") from error
    return metadata, arrays
