"""Extraction of many files: workers decode, the model runs on batches, features are written when a file is complete."""

import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mert_fairseq.audio import AudioError
from mert_fairseq.extraction.feature_folder import Output
from mert_fairseq.extraction.frozen_encoder import Encoder
from mert_fairseq.extraction.model_batches import Item, Precision, batches
from mert_fairseq.extraction.reading import FileWindow, Inputs, RejectedError, file_windows
from mert_fairseq.extraction.storage import FileFeatures
from mert_fairseq.extraction.windows import Windowing
from mert_fairseq.jobs.progress import AudioBar
from mert_fairseq.jobs.worker_pool import Finished, WorkerCrashed, stream_tasks
from mert_fairseq.preprocessing.reject_reasons import REMEDIES, Reason, Reject
from mert_fairseq.preprocessing.scan import Source

WAITING_BATCHES = 2  # in batches: how many windows may wait for others of their length


@dataclass
class Tally:
    """What a run did.

    Attributes:
        extracted: files of this run.
        seconds: of their audio.
        rejects: files without features.
        wall_seconds: of the whole run.
    """

    extracted: int = 0
    seconds: float = 0.0
    rejects: list[Reject] = field(default_factory=list)
    wall_seconds: float = 0.0


def extract(
    encoder: Encoder,
    inputs: Inputs,
    output: Output,
    windowing: Windowing,
    precision: Precision,
    batch_size: int = 1,
    workers: int = 1,
) -> Tally:
    """Extract what ``output`` does not hold yet.

    Args:
        encoder: the model.
        inputs: the audio.
        output: takes the features, in a folder that this run has locked.
        windowing: cuts long audio.
        precision: runs the model, in float32 or bfloat16.
        batch_size: windows per batch.
        workers: processes that decode.

    Raises:
        OSError: if features cannot be written.
    """
    run = _Run(encoder, inputs, output, AudioBar("extracting", unit="B"))
    started = time.monotonic()
    try:
        for batch in batches(run.windows(windowing, workers), batch_size, WAITING_BATCHES * batch_size):
            waves = torch.from_numpy(np.stack([item.window.window.wave for item in batch]))
            for item, states in zip(batch, precision.layers(waves), strict=True):
                run.take(item, states)
    finally:
        run.close()
    run.tally.wall_seconds = time.monotonic() - started
    return run.tally


def read_file(source: Source, root: Path, sample_rate: int, windowing: Windowing) -> Iterator[FileWindow | Reject]:
    """In a worker: the windows of a file; a reject ends them if the file cannot be read further."""
    try:
        yield from file_windows(root / source.path, sample_rate, windowing)
    except RejectedError as error:
        yield Reject(source.path, error.reason, error.detail)
    except (AudioError, OSError) as error:
        yield Reject(source.path, Reason.UNREADABLE, str(error))


class _Run:
    """The files in progress, and the counts for the progress bar."""

    def __init__(self, encoder: Encoder, inputs: Inputs, output: Output, bar: AudioBar) -> None:
        self.encoder, self.root, self.output, self.bar = encoder, inputs.root, output, bar
        self.tally = Tally(rejects=list(inputs.rejects))
        self.sources = {source.path: source for source in inputs.sources}
        self.waiting = [source for source in inputs.sources if not output.has(source)]
        self.open: dict[str, FileFeatures] = {}
        self.counted: dict[str, float] = {}  # bytes of each file that done_bytes includes
        self.total_bytes = sum(source.size_bytes for source in inputs.sources)
        self.done_bytes = float(self.total_bytes - sum(source.size_bytes for source in self.waiting))
        self.done_seconds = sum(output.seconds_of(source) for source in inputs.sources)
        self.done_files = len(self.sources) - len(self.waiting)
        self._show()

    def windows(self, windowing: Windowing, workers: int) -> Iterator[Item]:
        """The windows of all files that are waiting; rejects are recorded on the way."""
        read = functools.partial(read_file, root=self.root, sample_rate=self.encoder.sample_rate, windowing=windowing)
        for source, answer in stream_tasks(read, self.waiting, workers):
            match answer:
                case Reject():
                    self.reject(answer)
                case WorkerCrashed(exit_code):
                    detail = f"exit code {exit_code} while decoding; {REMEDIES[Reason.DECODER_DIED]}"
                    self.reject(Reject(source.path, Reason.DECODER_DIED, detail))
                case FileWindow():
                    if source.path not in self.open:
                        self.open[source.path] = self.output.begin(source, answer.frames)
                    yield Item(source.path, answer)
                case Finished():
                    pass

    def take(self, item: Item, states: Any) -> None:
        """Store the states of a window, (N, f, D); states of a file that was rejected since are dropped."""
        features = self.open.get(item.file)
        if features is None:
            return
        window, frames, seconds = item.window.window, item.window.frames, item.window.seconds
        kept = states[:, window.skipped : window.skipped + window.frames].cpu().numpy()
        source = self.sources[item.file]
        self._count(source, source.size_bytes * window.frames / frames)
        self.done_seconds += seconds * window.frames / frames
        if features.add(window.first, kept):
            self.output.finish(source, self.open.pop(item.file), seconds)
            self.tally.extracted += 1
            self.done_files += 1
            self.tally.seconds += seconds
        self._show()

    def reject(self, reject: Reject) -> None:
        """Record a file without features."""
        if (features := self.open.pop(reject.path, None)) is not None:
            features.discard()
        self.tally.rejects.append(reject)
        source = self.sources[reject.path]
        self._count(source, source.size_bytes - self.counted.get(reject.path, 0.0))
        self._show()

    def close(self) -> None:
        """Discard incomplete files."""
        for features in self.open.values():
            features.discard()
        self.bar.close()

    def _count(self, source: Source, size_bytes: float) -> None:
        self.counted[source.path] = self.counted.get(source.path, 0.0) + size_bytes
        self.done_bytes += size_bytes

    def _show(self) -> None:
        files = f"{self.done_files}/{len(self.sources)} files"
        self.bar.show(self.done_bytes, self.total_bytes, self.done_seconds, len(self.tally.rejects), files)
