"""Features of all clips of a data set: decoded in threads, batched by equal length, stored in parts."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mert_fairseq.arguments import default_workers
from mert_fairseq.probing.features.source import Source
from mert_fairseq.probing.features.store import FeatureStore
from mert_fairseq.probing.features.waves import Windows, cut_windows, load_wave
from mert_fairseq.probing.probe_data import Clip, ProbeData

PART_CLIPS = 64
BATCH_SECONDS = 120.0  # of audio per call of the model


def extract(
    source: Source, data: ProbeData, windows: Windows, normalize: bool, root: Path, *, quiet: bool = False
) -> FeatureStore:
    """Features of the clips of train, valid, test and changed copies, in this order; stored features are reused.

    Args:
        source: model or baseline.
        data: the clips.
        windows: how clips are cut.
        normalize: whether each clip is standardised as a whole.
        root: folder of the cache.
        quiet: without progress bar.

    Raises:
        AudioError: if a file cannot be decoded.
        ValueError: if features are not finite.
    """
    clips = [clip for part in data.parts.values() for clip in part]
    store = FeatureStore(root, _about(source, data.folder, clips, windows, normalize))
    if store.complete:
        return store
    parts = [clips[start : start + PART_CLIPS] for start in range(0, len(clips), PART_CLIPS)]
    with (
        ThreadPoolExecutor(default_workers()) as pool,
        tqdm(total=len(clips), desc=f"features of {source.name}", unit="clip", disable=quiet, leave=False) as bar,
    ):
        for number, part in enumerate(parts):
            if not store.has_part(number):
                jobs = (
                    pool.submit(load_wave, data.folder, clip, source.sample_rate, windows, normalize) for clip in part
                )
                waves = _ahead(jobs, 2 * default_workers()) if len(part) else iter(())
                features, counts = _features_of(source, part, waves, windows)
                store.write_part(number, features, counts)
            bar.update(len(part))
    store.finish(len(parts))
    return store


def _about(source: Source, folder: Path, clips: Sequence[Clip], windows: Windows, normalize: bool) -> dict[str, object]:
    files = {clip.path: (folder / clip.path).stat() for clip in clips}
    return {
        "source": source.digest,
        "windows": windows.settings,
        "normalize": normalize,
        "audio": [[path, stat.st_size, stat.st_mtime_ns] for path, stat in files.items()],
        "clips": [[clip.id, clip.path, clip.start_seconds, clip.seconds] for clip in clips],
    }


def _ahead(jobs: Iterable["Future[np.ndarray]"], limit: int) -> Iterator[np.ndarray]:
    """Results in order, with at most ``limit`` jobs submitted in advance."""
    waiting: deque[Future[np.ndarray]] = deque()
    for job in jobs:
        waiting.append(job)
        if len(waiting) > limit:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _features_of(
    source: Source, clips: Sequence[Clip], waves: Iterator[np.ndarray], windows: Windows
) -> tuple[np.ndarray, list[int]]:
    """(S, rows, D) features of some clips, and the rows of each."""
    found: list[list[np.ndarray]] = []  # of each clip, of each window: (S, rows, D)
    waiting: dict[int, list[tuple[int, int, np.ndarray]]] = {}  # windows by length: clip, place, wave

    def flush(length: int) -> None:
        batch = waiting.pop(length)
        for (clip, place, _), rows in zip(batch, _run(source, [wave for *_, wave in batch], windows), strict=True):
            if not np.isfinite(rows).all():
                raise ValueError(
                    f"{clips[clip].id}: {source.name} returned NaN or infinite features. The model is damaged or was "
                    f"trained at another scale; look at its training log."
                )
            found[clip][place] = rows

    for clip, wave in enumerate(waves):
        cut = cut_windows(wave, source.sample_rate, windows, source.min_samples)
        found.append([np.empty(0)] * len(cut))
        for place, window in enumerate(cut):
            same = waiting.setdefault(len(window), [])
            same.append((clip, place, window))
            if len(same) * len(window) >= BATCH_SECONDS * source.sample_rate:
                flush(len(window))
    for length in list(waiting):
        flush(length)
    rows = [np.concatenate(each, 1) for each in found]
    return np.concatenate(rows, 1), [each.shape[1] for each in rows]


def _run(source: Source, waves: list[np.ndarray], windows: Windows) -> Iterator[np.ndarray]:
    """(S, rows, D) of each wave: float16 frames, or one row of float32 means."""
    batch = torch.from_numpy(np.stack(waves))
    if windows.frames:
        hop = round(source.sample_rate / source.rate_hz)
        for each in source.frames(torch.nn.functional.pad(batch, (0, hop))):
            yield each.half().cpu().numpy()
    else:
        for each in source.pooled(batch, windows.statistics):
            yield each[:, None].float().cpu().numpy()
