"""Features on the disk: one array per state, written in parts, so that a killed extraction can continue."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mert_fairseq.files import replacing

INDEX = "index.json"


class FeatureStore:
    """A folder of features of clips in a fixed order.

    Args:
        root: of all stores.
        about: everything that the features depend on, as JSON values; its digest names the folder.
    """

    def __init__(self, root: Path, about: dict[str, Any]) -> None:
        self.about = about
        self.key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        self.folder = root / self.key[:16]

    @property
    def complete(self) -> bool:
        """Whether the features of all clips are stored."""
        return (self.folder / INDEX).is_file()

    def _part(self, number: int) -> Path:
        return self.folder / f"part_{number:05d}.npz"

    def has_part(self, number: int) -> bool:
        """Whether a part was written."""
        return self._part(number).is_file()

    def write_part(self, number: int, features: np.ndarray, counts: Sequence[int]) -> None:
        """Store the features of some clips: (S, rows, D), and rows of each clip."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._part(number)) as partial, partial.open("wb") as file:
            np.savez(file, features=features, counts=np.asarray(counts))

    def finish(self, parts: int) -> None:
        """Join the parts into one array per state, and remove them."""
        counts = []
        for number in range(parts):
            with np.load(self._part(number)) as part:
                counts.append(part["counts"])
        total = int(sum(each.sum() for each in counts))
        with np.load(self._part(0)) as part:
            states, _, width = part["features"].shape
            kind = part["features"].dtype
        arrays = [
            np.lib.format.open_memmap(self._state(state), "w+", dtype=kind, shape=(total, width))
            for state in range(states)
        ]
        first = 0
        for number in range(parts):
            with np.load(self._part(number)) as part:
                features = part["features"]
            for array, state in zip(arrays, features, strict=True):
                array[first : first + len(state)] = state
            first += features.shape[1]
        for array in arrays:
            array.flush()
        index = {"states": states, "counts": np.concatenate(counts).tolist(), "about": self.about}
        with replacing(self.folder / INDEX) as partial:
            partial.write_text(json.dumps(index), encoding="utf-8")
        for number in range(parts):
            self._part(number).unlink()

    def _state(self, state: int) -> Path:
        return self.folder / f"state_{state:02d}.npy"

    def read(self) -> tuple[list[Tensor], Tensor]:
        """The states, (W, D) each, memory-mapped, and (N,) rows of each clip.

        Raises:
            ValueError: if a file is missing or damaged.
        """
        index = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
        try:
            # copy on write: torch expects writable arrays
            arrays = [np.load(self._state(state), mmap_mode="c") for state in range(index["states"])]
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(
                f"{self.folder}: cannot be read ({error}). Remove this folder; the features are extracted again."
            ) from error
        return [torch.from_numpy(array) for array in arrays], torch.tensor(index["counts"])

    def remove(self) -> None:
        """Delete the features."""
        shutil.rmtree(self.folder, ignore_errors=True)
