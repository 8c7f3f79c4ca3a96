"""Fit a K-means teacher on features of randomly drawn tracks of a manifest."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mert_fairseq.jobs.progress import AudioBar
from mert_fairseq.jobs.worker_pool import WorkerCrashed, run_tasks
from mert_fairseq.label_extraction.label_job import LabelJobError
from mert_fairseq.label_extraction.label_tracks import Reject, TrackReader, TrackTask, use_one_thread
from mert_fairseq.manifest import Manifest
from mert_fairseq.teachers.code_teachers import FEATURES_KEY, Features
from mert_fairseq.teachers.kmeans import sample_rows
from mert_fairseq.teachers.rvq import ResidualKMeans, check_sizes


def fit_teacher(
    manifest_path: Path,
    features: Features,
    codebooks: int,
    codes: int,
    seed: int = 0,
    hours: float = 10.0,
    max_frames: int = 200_000,
    workers: int = 1,
) -> ResidualKMeans:
    """Draw tracks, compute their features and fit a (residual) K-means.

    Args:
        manifest_path: ``{split}.tsv``.
        features: what to cluster.
        codebooks: 1 for plain K-means.
        codes: of each codebook.
        seed: of the tracks, the frames and the centroids; the same files and seed give the same teacher.
        hours: read at most this much audio.
        max_frames: cluster at most this many frames; they and their copies take most of the memory.
        workers: processes that compute features.

    Raises:
        LabelJobError: if the manifest has another sample rate, or a track cannot be read.
        ValueError: if there are fewer distinct frames than codes.
    """
    check_sizes(codebooks, codes, max_frames)
    manifest = Manifest.read(manifest_path)
    if manifest.sample_rate not in (None, features.sample_rate):
        raise LabelJobError(
            f"{manifest_path}: found {manifest.sample_rate} Hz, expected {features.sample_rate} Hz. Convert the audio "
            f"(preprocess/make_manifest.py --convert-to DIR --sample-rate {features.sample_rate}), or give "
            f"--sample-rate {manifest.sample_rate}."
        )
    tracks = draw_tracks(manifest.samples, int(hours * 3600 * features.sample_rate), seed)
    total = int(manifest.samples[tracks].sum())
    frames = total / features.hop_samples
    # Each track contributes its share, so that the rows that workers return fit in memory too.
    share = min(1.0, max_frames / max(1.0, frames))
    tasks = [TrackTask(t, str(manifest.audio_path(t)), int(manifest.samples[t])) for t in tracks]
    rows = _collect_rows(tasks, features, share, seed, workers)
    bar = tqdm(total=codebooks, desc="clustering", unit="codebook")
    metadata: dict[str, Any] = {FEATURES_KEY: features.settings, "fitted_on_tracks": len(tracks)}
    metadata["fitted_on_hours"] = round(total / features.sample_rate / 3600, 4)
    try:
        return ResidualKMeans.fit(rows, codebooks, codes, seed, max_frames, metadata, lambda _: bar.update())
    finally:
        bar.close()


def draw_tracks(samples: np.ndarray, max_samples: int, seed: int) -> list[int]:
    """Draw tracks at random up to ``max_samples``, at least one; returns their numbers, sorted.

    Raises:
        ValueError: if the manifest is empty.
    """
    if not len(samples):
        raise ValueError("The manifest lists no track to fit a teacher on.")
    order = np.random.default_rng(seed).permutation(len(samples))
    totals = np.cumsum(samples[order])
    return sorted(order[: max(1, int(np.searchsorted(totals, max_samples, side="right")))].tolist())


def _collect_rows(
    tasks: list[TrackTask], features: Features, share: float, seed: int, workers: int
) -> Iterator[np.ndarray]:
    """The sampled rows of all tracks in order, (n, D) float32 each; each array is freed after it is read."""
    function = partial(sample_features, features, share, seed)
    bar, done, total = AudioBar("features"), 0.0, sum(task.samples for task in tasks) / features.sample_rate
    bar.show(done, total, done)
    rows: dict[int, np.ndarray] = {}
    try:
        for task, result in run_tasks(function, sorted(tasks, key=lambda task: -task.samples), workers):
            if isinstance(result, WorkerCrashed | Reject):
                reason = result.reason if isinstance(result, Reject) else f"{task.path}: decoding it crashed."
                raise LabelJobError(f"{reason} Repair the file, or make the manifest again without it.")
            rows[task.track] = result
            done += task.samples / features.sample_rate
            bar.show(done, total, done)
    finally:
        bar.close()
    return (rows.pop(task.track) for task in tasks)


def sample_features(features: Features, share: float, seed: int, task: TrackTask) -> np.ndarray | Reject:
    """Draw a share of a track's rows uniformly, (n, D) float32, at least one; runs in a worker process."""
    reader = TrackReader(task, features.sample_rate)
    keep = max(1, round(share * task.samples / features.hop_samples))
    with use_one_thread():
        try:
            rows = sample_rows(features.stream(reader.blocks()), keep, seed + task.track)
        except ValueError as error:
            return Reject(f"{task.path}: {error}")
    return Reject(reader.reason) if reader.reason else rows
