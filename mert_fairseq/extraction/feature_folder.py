"""The folder that a run writes: features, journal, index, rejects."""

import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from mert_fairseq.extraction.collection import FILES, names_in, write_collection
from mert_fairseq.extraction.frozen_encoder import Encoder
from mert_fairseq.extraction.journal import INDEX_FILE, JOURNAL_FILE, Entry, Journal, write_index
from mert_fairseq.extraction.reading import Inputs
from mert_fairseq.extraction.storage import PARTIAL, FileFeatures, Frames, Means
from mert_fairseq.extraction.windows import Windowing
from mert_fairseq.files import escape
from mert_fairseq.jobs.locks import FileLock
from mert_fairseq.jobs.rejects import write_rejects
from mert_fairseq.preprocessing.reject_reasons import REJECTS_FILE, Reject
from mert_fairseq.preprocessing.scan import Source

LOCK_FILE = ".lock"
PARTS_DIR = ".parts"  # of a collection that is not written yet
REJECT_COLUMNS = ("path", "reason", "detail")


@dataclass(frozen=True)
class Form:
    """What is stored of each file.

    Attributes:
        layers: along the first axis.
        mean_seconds: seconds per mean; infinity for one mean per file; None for all frames.
        form: npy for one file each, or safetensors or hdf5 for all in one.
        bf16: whether the model ran in bfloat16.
    """

    layers: tuple[int, ...]
    mean_seconds: float | None = None
    form: str = "npy"
    bf16: bool = False


class Output:
    """A folder of features; a lock keeps two runs from writing to it.

    Args:
        folder: created if it does not exist.
        form: what to store.
        encoder: the model.
        windowing: cuts long audio.
        root: file names are relative to it.

    Raises:
        LockedError: if another run is using the folder.
        ValueError: if its features were made with other settings.
    """

    def __init__(self, folder: Path, form: Form, encoder: Encoder, windowing: Windowing, root: Path) -> None:
        self.folder, self.form, self.encoder = folder, form, encoder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / LOCK_FILE, "Wait for it to end, or give another --out.")
        self._lock.acquire()
        try:
            self._journal = Journal(folder / JOURNAL_FILE, self._header(windowing, root))
            for stale in folder.rglob(PARTIAL.format("*")):  # of a killed run
                stale.unlink()
            self._collected = names_in(folder / FILES[form.form]) if form.form in FILES else set()
        except BaseException:
            self._lock.release()
            raise

    def _header(self, windowing: Windowing, root: Path) -> dict[str, Any]:
        return {
            "digest": self.encoder.digest,
            "sample_rate": self.encoder.sample_rate,
            "window_frames": windowing.window_frames,
            "context_frames": windowing.context_frames,
            "layers": list(self.form.layers),
            "mean": self.rate if self.form.mean_seconds else None,
            "format": self.form.form,
            "bf16": self.form.bf16,
            "audio": str(root),
        }

    @property
    def rate(self) -> str:
        """Rows of features per second, or ``file``."""
        per_mean = self._frames_per_mean()
        if self.form.mean_seconds is None:
            return f"{self.encoder.frame_rate_hz:g}"
        return "file" if per_mean is None else f"{self.encoder.frame_rate_hz / per_mean:g}"

    def _frames_per_mean(self) -> int | None:
        seconds = self.form.mean_seconds
        if seconds is None or math.isinf(seconds):
            return None
        return max(1, round(seconds * self.encoder.frame_rate_hz))

    def has(self, source: Source) -> bool:
        """Whether the features of this file, unchanged since, exist from an earlier run."""
        entry = self._journal.entries.get(source.path)
        if entry is None or entry.source != source:
            return False
        return self._path(source.path).is_file() or escape(source.path) in self._collected

    def seconds_of(self, source: Source) -> float:
        """Seconds of audio of a file whose features exist, else 0."""
        return self._journal.entries[source.path].seconds if self.has(source) else 0.0

    def begin(self, source: Source, frames: int) -> FileFeatures:
        """Start the features of a file.

        Raises:
            OSError: if its folder cannot be made.
        """
        path = self._path(source.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.form.mean_seconds is None:
            return Frames(path, frames)
        return Means(path, frames, self._frames_per_mean())

    def finish(self, source: Source, features: FileFeatures, seconds: float) -> None:
        """Write the features of a complete file and record it in the journal."""
        self._journal.add(Entry(source, round(seconds, 3), features.finish()))

    def close(self, inputs: Inputs, rejects: Iterable[Reject]) -> None:
        """Write the collection, if the format is one, and the tables."""
        current = {source.path: source for source in inputs.sources}  # earlier runs may have had other inputs
        known = self._journal.entries.items()
        entries = [entry for name, entry in known if self.has(current.get(name, entry.source))]
        names = [entry.source.path for entry in entries]
        if self.form.form in FILES:
            features = {name: escape(name) for name in names}
            self._collect(features)
        else:
            features = {name: self._path(name).relative_to(self.folder).as_posix() for name in names}
        write_index(self.folder / INDEX_FILE, entries, features, self.rate, self.form.layers, self.encoder.digest)
        write_rejects(self.folder / REJECTS_FILE, REJECT_COLUMNS, rejects)

    def _collect(self, names: dict[str, str]) -> None:
        parts = {key: path for name, key in names.items() if (path := self._path(name)).is_file()}
        kept = (set(names.values()) & self._collected) - parts.keys()
        if not parts and kept == self._collected:
            return
        metadata = {
            "layers": ",".join(map(str, self.form.layers)), "rate": self.rate, "digest": self.encoder.digest,
        }  # fmt: skip
        write_collection(self.folder / FILES[self.form.form], parts, kept, metadata)
        shutil.rmtree(self.folder / PARTS_DIR, ignore_errors=True)

    def _path(self, name: str) -> Path:
        below = self.folder / PARTS_DIR if self.form.form in FILES else self.folder
        return below / f"{name}.npy"

    def __enter__(self) -> "Output":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.close()
        self._lock.release()
