"""Check for equal audio under several names: a valid track that is also in train makes the validation worthless."""

import functools
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mert_fairseq import audio
from mert_fairseq.jobs.worker_pool import WorkerCrashed, run_tasks
from mert_fairseq.manifest import Manifest
from mert_fairseq.preprocessing.checks.findings import Report
from mert_fairseq.preprocessing.checks.manifest_checks import split_of

CHUNK_TRACKS = 64
PROBE_SAMPLES = 4_000  # a sixth of a second from the middle distinguishes most tracks


class _FileToHash(NamedTuple):
    number: int
    path: Path
    samples: int


class _Corpus:
    """All tracks of all splits with consecutive numbers; stores two numbers per track."""

    def __init__(self, folder: Path, manifests: dict[str, Manifest], broken: dict[str, set[int]]) -> None:
        self.folder = folder
        self.splits = list(manifests)
        self.manifests = list(manifests.values())
        self.firsts = np.cumsum([0, *(len(manifest) for manifest in self.manifests)])
        self.samples = np.concatenate([[], *(manifest.samples for manifest in self.manifests)]).astype(np.int64)
        self.readable = np.ones(len(self.samples), dtype=bool)
        for first, split in zip(self.firsts, self.splits, strict=False):
            self.readable[[int(first) + track for track in broken.get(split, ())]] = False

    def place(self, number: int) -> tuple[int, int]:
        """Split number and track number within the split."""
        split = int(np.searchsorted(self.firsts, number, side="right")) - 1
        return split, number - int(self.firsts[split])

    def path(self, number: int) -> Path:
        split, track = self.place(number)
        return self.manifests[split].audio_path(track)

    def name(self, number: int) -> str:
        split, track = self.place(number)
        return self.manifests[split].paths[track]

    def line(self, number: int) -> str:
        split, track = self.place(number)
        return f"{self.folder / self.splits[split]}.tsv:{track + 2}"


def check_duplicates(
    folder: Path, manifests: dict[str, Manifest], broken: dict[str, set[int]], workers: int, report: Report
) -> None:
    """Compare the audio of tracks of equal length: a short span first, then the whole track if the spans are equal.

    Args:
        folder: of the manifests, for messages.
        broken: tracks of each split that cannot be read.
        workers: processes.
    """
    corpus = _Corpus(folder, manifests, broken)
    numbers = np.flatnonzero(corpus.readable)
    report.record("duplicates", f"{len(numbers)} tracks compared")
    keys = corpus.samples[numbers].astype(np.uint64)
    for whole in (False, True):
        numbers, keys = _shared(numbers, keys)
        numbers, keys = _digests(corpus, numbers, whole, workers)
    numbers, keys = _shared(numbers, keys)
    groups: dict[int, list[int]] = defaultdict(list)
    for number, key in zip(numbers.tolist(), keys.tolist(), strict=True):
        groups[key].append(number)
    pairs: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for group in groups.values():
        first = group[0]
        for number in group[1:]:
            if corpus.path(number) != corpus.path(first):  # a file listed twice is another finding
                pairs[corpus.place(first)[0], corpus.place(number)[0]].append((first, number))
    for splits, found in sorted(pairs.items()):
        _report(corpus, splits, sorted(found, key=lambda pair: pair[1]), report)


def _report(corpus: _Corpus, splits: tuple[int, int], pairs: list[tuple[int, int]], report: Report) -> None:
    first, second = pairs[0]
    other = corpus.splits[splits[0]]
    of_splits = {split_of(corpus.splits[number], corpus.manifests[number]) for number in splits}
    found = f"{corpus.name(second)} is the same audio as {corpus.name(first)} of {other}.tsv"
    if len(of_splits) == 1:
        remedy = "It counts twice; make the manifest again to leave it out."
        report.warn("duplicate_within_split", corpus.line(second), found, remedy, len(pairs))
    else:
        remedy = (
            "Remove it from one of them: make both manifests in one run of preprocess/make_manifest.py, which keeps "
            "one of equal files, or delete its line and its labels."
        )
        report.error("duplicate_across_splits", corpus.line(second), found, remedy, len(pairs))


def _shared(numbers: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers, with their keys, whose key occurs more than once."""
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    kept = counts[inverse] > 1 if len(keys) else np.zeros(0, dtype=bool)
    return numbers[kept], keys[kept]


def _digests(corpus: _Corpus, numbers: np.ndarray, whole: bool, workers: int) -> tuple[np.ndarray, np.ndarray]:
    """The tracks that could be read, in order, with a 64-bit digest of length and audio for each."""

    def chunks() -> Iterator[list[_FileToHash]]:
        for start in range(0, len(numbers), CHUNK_TRACKS):
            chunk = numbers[start : start + CHUNK_TRACKS].tolist()
            yield [_FileToHash(number, corpus.path(number), int(corpus.samples[number])) for number in chunk]

    digests: dict[int, int] = {}
    for _, answer in run_tasks(functools.partial(_digest_chunk, whole=whole), chunks(), workers):
        if not isinstance(answer, WorkerCrashed):  # check_audio reports such a file
            digests |= answer
    order = sorted(digests)
    return np.array(order, dtype=np.int64), np.array([digests[number] for number in order], dtype=np.uint64)


def _digest_chunk(jobs: list[_FileToHash], whole: bool) -> dict[int, int]:
    digests = {}
    for job in jobs:
        hasher = hashlib.blake2b(str(job.samples).encode(), digest_size=8)
        try:
            if whole:
                for block in audio.stream_blocks(job.path):
                    hasher.update(audio.to_int16(np.nan_to_num(block)).data)
            else:
                samples = min(PROBE_SAMPLES, job.samples)
                hasher.update(audio.read_span(job.path, (job.samples - samples) // 2, samples).data)
        except audio.AudioError:  # check_audio reports such a file
            continue
        digests[job.number] = int.from_bytes(hasher.digest(), "little")
    return digests
