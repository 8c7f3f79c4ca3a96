"""Stems of MUSDB18 as mono waves: random mixtures for training, whole songs for tests."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mert_fairseq.audio import probe, read_span, resample_blocks, stream_blocks
from mert_fairseq.probing.probe_data import Clip

TRAIN_SECONDS = 6.0
GAINS = (0.25, 1.25)


def read_stem(path: Path, sample_rate: int, start_seconds: float = 0.0, seconds: float | None = None) -> np.ndarray:
    """(T,) float32 mono at ``sample_rate``; filled with zeros if the file ends before ``seconds``."""
    info = probe(path)
    if seconds is None:
        return np.concatenate(list(resample_blocks(stream_blocks(path), info.sample_rate, sample_rate)))
    start = min(round(start_seconds * info.sample_rate), info.samples)
    samples = min(info.samples - start, round(seconds * info.sample_rate))
    wave = read_span(path, start, samples, dtype="float32")
    wave = np.concatenate(list(resample_blocks([wave], info.sample_rate, sample_rate)))
    wanted = round(seconds * sample_rate)
    return np.pad(wave[:wanted], (0, max(0, wanted - len(wave))))


def whole_song(folder: Path, song: Clip, target: str, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """(T,) the sum of all stems, and (T,) the target's."""
    stems = {name: read_stem(folder / song.path / f"{name}.wav", sample_rate) for name in song.target}
    length = min(map(len, stems.values()))
    return np.stack([stem[:length] for stem in stems.values()]).sum(0), stems[target][:length]


def random_mixtures(
    folder: Path,
    songs: Sequence[Clip],
    target: str,
    sample_rate: int,
    count: int,
    batch: int,
    random: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Mixtures of stems from different songs, each at a random place and gain.

    Channels are not swapped: the mean of the channels stays the same.

    Args:
        folder: of the data set.
        songs: of the training split.
        target: the stem to separate.
        sample_rate: in Hz.
        count: mixtures in all.
        batch: mixtures per batch.
        random: draws songs, places and gains.

    Yields:
        (B, T) mixtures and (B, T) targets.
    """
    for first in range(0, count, batch):
        mixtures, targets = [], []
        for _ in range(min(batch, count - first)):
            stems = {}
            for name in songs[0].target:
                path = folder / songs[int(random.integers(len(songs)))].path / f"{name}.wav"
                info = probe(path)
                room = max(0.0, info.samples / info.sample_rate - TRAIN_SECONDS)
                stem = read_stem(path, sample_rate, random.random() * room, TRAIN_SECONDS)
                stems[name] = stem * np.float32(random.uniform(*GAINS))
            mixtures.append(np.stack(list(stems.values())).sum(0))
            targets.append(stems[target])
        yield np.stack(mixtures), np.stack(targets)
