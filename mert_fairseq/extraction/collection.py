"""One file of features for a whole collection: safetensors or HDF5, an array per audio file under its name."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mert_fairseq.files import replacing

FILES = {"safetensors": "features.safetensors", "hdf5": "features.h5"}


def check_library(form: str) -> None:
    """Check that the library of a format is installed.

    Raises:
        ImportError: names the library and how to install it.
    """
    module, extra = {"safetensors": ("safetensors", "hf"), "hdf5": ("h5py", "hdf5")}[form]
    try:
        __import__(module)
    except ImportError as error:
        raise ImportError(
            f"--format {form} needs {module}. Install it: pip install 'mert_fairseq[{extra}]', or use --format npy."
        ) from error


def names_in(path: Path) -> set[str]:
    """The names of the arrays in a collection; empty if the file does not exist."""
    if not path.is_file():
        return set()
    if path.suffix == ".h5":
        import h5py

        names: set[str] = set()
        with h5py.File(path, "r") as file:
            file.visititems(lambda name, item: names.add(name) if isinstance(item, h5py.Dataset) else None)
        return names
    return set(_safetensors_header(path)[0]) - {"__metadata__"}


def write_collection(path: Path, parts: Mapping[str, Path], kept: set[str], metadata: Mapping[str, str]) -> None:
    """Write a collection from .npy files and from arrays of the existing collection, which it replaces when complete.

    Args:
        path: of the collection; its suffix decides the format.
        parts: the .npy files by name.
        kept: names to copy from the existing file.
        metadata: about all arrays.
    """
    write = _write_hdf5 if path.suffix == ".h5" else _write_safetensors
    with replacing(path) as partial:
        write(partial, path, parts, kept, metadata)
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)  # safetensors makes files readable by their owner only


def _write_safetensors(
    partial: Path, old: Path, parts: Mapping[str, Path], kept: set[str], metadata: Mapping[str, str]
) -> None:
    from safetensors.numpy import save_file

    arrays: dict[str, np.ndarray] = {name: np.load(part, mmap_mode="r") for name, part in parts.items()}
    if kept:
        header, start = _safetensors_header(old)
        for name in kept:
            offset = start + header[name]["data_offsets"][0]
            arrays[name] = np.memmap(old, np.float32, "r", offset, tuple(header[name]["shape"]))
    save_file(arrays, partial, metadata=dict(metadata))


def _safetensors_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header of the format, and where the data begin: 8 bytes of its length, then JSON, then the data."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return json.loads(file.read(length)), 8 + length


def _write_hdf5(
    partial: Path, old: Path, parts: Mapping[str, Path], kept: set[str], metadata: Mapping[str, str]
) -> None:
    import h5py

    with h5py.File(partial, "w") as file:
        for name, part in parts.items():
            file[name] = np.load(part, mmap_mode="r")
        if kept:
            with h5py.File(old, "r") as source:
                for name in kept:
                    source.copy(source[name], file, name)
        file.attrs.update(metadata)
