"""Manifests: ``{split}.tsv`` in HuBERT's format, and the sidecar ``{split}.json`` with sample rate and settings.

Line 1 of the tsv is the folder that the paths are relative to. Each further line is ``relative path<TAB>samples`` of
one track, in samples at the training rate. A relative folder is first looked for beside the manifest. All paths are in
one block of bytes: data-loading workers copy memory that they touch, and would each copy a million strings.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np

from mert_fairseq.files import replacing

HASHED_LINES = 1 << 14  # joined before they are hashed


class CompactStrings(Sequence[str]):
    """Immutable strings in one block: string i is ``blob[ends[i - 1]:ends[i]]``; bytes that are not UTF-8 are kept."""

    def __init__(self, blob: bytes, ends: np.ndarray) -> None:
        self._blob = np.frombuffer(blob, dtype=np.uint8)
        self._ends = ends

    @classmethod
    def of(cls, names: Iterable[str]) -> "CompactStrings":
        if isinstance(names, CompactStrings):
            return names
        encoded = [name.encode(errors="surrogateescape") for name in names]
        return cls(b"".join(encoded), np.cumsum([len(name) for name in encoded], dtype=np.int64))

    def __len__(self) -> int:
        return len(self._ends)

    def encoded(self) -> Iterator[bytes]:
        """Yield the strings as bytes, about five times faster than by indexing."""
        blob, start = self._blob.tobytes(), 0
        for end in self._ends.tolist():
            yield blob[start:end]
            start = end

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "CompactStrings": ...
    def __getitem__(self, index: int | slice) -> "str | CompactStrings":
        if isinstance(index, slice):
            return CompactStrings.of([self[i] for i in range(*index.indices(len(self)))])
        index = range(len(self))[index]
        start = self._ends[index - 1] if index else 0
        return self._blob[start : self._ends[index]].tobytes().decode(errors="surrogateescape")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def unusable_name(path: str) -> str | None:
    """Return why a manifest cannot hold ``path``, or None; tabs, line ends and outer blanks are invalid."""
    if any(sign in path for sign in "\t\n\r"):
        return "it holds a tab or a line end"
    if path != path.strip():
        return "it begins or ends with a blank"
    return None if path else "it is empty"


def check_root(root: Path) -> None:
    """Raise if the first line of a manifest cannot hold a folder's name.

    Raises:
        ValueError: naming the folder and the remedy.
    """
    if why := unusable_name(str(root)):
        raise ValueError(f"{str(root)!r}: a manifest cannot hold the folder's name: {why}. Rename the folder.")


@dataclass(eq=False)
class Manifest:
    """The tracks of one split.

    Attributes:
        root: folder that the paths are relative to.
        paths: (tracks,) relative paths.
        samples: (tracks,) int64, lengths at ``sample_rate``.
        sample_rate: in Hz; None if there is no sidecar.
        settings: how the files were made; any JSON values, stored in the sidecar.
    """

    root: Path
    paths: Sequence[str]
    samples: np.ndarray
    sample_rate: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = Path(self.root)
        self.paths = CompactStrings.of(self.paths)
        self.samples = np.asarray(self.samples, dtype=np.int64)
        if len(self.paths) != len(self.samples):
            raise ValueError(f"manifest: found {len(self.samples)} lengths, expected {len(self.paths)}, one per path.")

    def __len__(self) -> int:
        return len(self.paths)

    def audio_path(self, track: int) -> Path:
        return self.root / self.paths[track]

    @property
    def total_seconds(self) -> float | None:
        return None if self.sample_rate is None else round(int(self.samples.sum()) / self.sample_rate, 3)

    @cached_property
    def tracks_sha256(self) -> str:
        """SHA-256 of the lines of the tracks, ``path<TAB>samples``, in order; 0.6 s for a million tracks.

        Label sidecars record it, so that labels of other tracks or lengths are detected. The root is not included.
        """
        digest = hashlib.sha256()
        assert isinstance(self.paths, CompactStrings)
        lines = (b"%b\t%d\n" % line for line in zip(self.paths.encoded(), self.samples.tolist(), strict=True))
        while block := b"".join(islice(lines, HASHED_LINES)):
            digest.update(block)
        return digest.hexdigest()

    @classmethod
    def read(cls, path: str | Path) -> "Manifest":
        """Read the tsv, and the sidecar if it exists.

        Raises:
            FileNotFoundError: if there is no such manifest.
            ValueError: if a line has another form, or the sidecar belongs to another manifest.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no such manifest. Make it with preprocess/make_manifest.py, or correct task.data."
            )
        blob, ends, samples = bytearray(), array("q"), array("q")
        with path.open("rb") as file:
            root = file.readline().rstrip(b"\r\n").decode(errors="surrogateescape")
            for number, line in enumerate(file, start=2):
                name, tab, length = line.rpartition(b"\t")
                if not (tab and name and length.strip().isdigit()):
                    raise ValueError(
                        f"{path}:{number}: found {line.decode(errors='replace').rstrip()!r}, expected a relative path, "
                        f"a tab and a number of samples. Make the manifest again with preprocess/make_manifest.py."
                    )
                blob += name
                ends.append(len(blob))
                samples.append(int(length))
        sidecar = _read_sidecar(path, len(ends))
        return cls(
            _resolve_root(root, path),
            CompactStrings(bytes(blob), np.array(ends, dtype=np.int64)),
            np.array(samples, dtype=np.int64),
            sidecar.get("sample_rate"),
            sidecar.get("settings") or {},
        )

    def write(self, path: str | Path) -> None:
        """Write the tsv and the sidecar beside it; the same tracks and settings always make the same bytes.

        Raises:
            ValueError: if the root or a path holds a tab or a line end, or begins or ends with a blank.
        """
        path = Path(path)
        check_root(self.root)
        with replacing(path) as partial, partial.open("wb") as file:
            file.write(f"{self.root}\n".encode(errors="surrogateescape"))
            for name, samples in zip(self.paths, self.samples.tolist(), strict=True):
                if why := unusable_name(name):
                    raise ValueError(
                        f"{path}: cannot hold the name {name!r}: {why}. Rename the file, or convert it under a safe "
                        f"name (preprocess/make_manifest.py --convert-to DIR)."
                    )
                file.write(f"{name}\t{samples}\n".encode(errors="surrogateescape"))
        with replacing(path.with_suffix(".json")) as partial:
            partial.write_text(json.dumps(self._sidecar(), indent=2, sort_keys=True) + "\n")

    def _sidecar(self) -> dict[str, Any]:
        from mert_fairseq import __version__

        tools = {name: version(name) for name in ("numpy", "soundfile", "soxr")}
        return {
            "sample_rate": self.sample_rate,
            "tracks": len(self),
            "total_seconds": self.total_seconds,
            "settings": self.settings,
            "tools": {"mert_fairseq": __version__, **tools},
        }


def _resolve_root(root: str, manifest: Path) -> Path:
    beside = manifest.parent / root
    return beside if beside.is_dir() else Path(root)


def _read_sidecar(manifest: Path, tracks: int) -> dict[str, Any]:
    path = manifest.with_suffix(".json")
    if not path.is_file():
        return {}
    try:
        sidecar = json.loads(path.read_text())
        found = sidecar["tracks"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: cannot be read ({error!r}), expected the sidecar of {manifest.name}. Make the manifest again "
            f"with preprocess/make_manifest.py, or delete {path.name}."
        ) from error
    if found != tracks:
        raise ValueError(
            f"{path}: found {found} tracks, but {manifest.name} lists {tracks}. Make the manifest again, or delete "
            f"{path.name} if you edited {manifest.name} by hand."
        )
    return sidecar
