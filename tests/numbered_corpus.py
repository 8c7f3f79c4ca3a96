"""A corpus whose samples say where they come from, so that a crop and its labels can be seen to belong together.

Sample s of track t is s // 320, its label's number; the code of column q there is (s // 320 + t + q) mod CODES.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from mert_fairseq.labels import PackedWriter, TextWriter, write_dictionary
from mert_fairseq.manifest import Manifest

SAMPLE_RATE = 24_000
LABEL_RATE_HZ = 75.0
HOP = 320
CODES = 50
COLUMNS = ("rvq_0", "rvq_1", "rvq_2")


def wave_of(samples: int) -> np.ndarray:
    """(samples,) int16."""
    return (np.arange(samples) // HOP).astype(np.int16)


def codes_of(track: int, frames: int, columns: int = len(COLUMNS)) -> np.ndarray:
    """(frames, columns) int64."""
    return (np.arange(frames)[:, None] + track + np.arange(columns)) % CODES


def write_corpus(
    folder: Path,
    lengths: Sequence[int],
    split: str = "train",
    columns: Sequence[str] = COLUMNS,
    packed: bool = False,
    suffix: str = ".wav",
) -> Path:
    """Write audio, manifest, labels and dictionaries of tracks of the given samples; gives the folder."""
    audio = folder / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    names = [f"{split}{track:03d}{suffix}" for track in range(len(lengths))]
    for name, samples in zip(names, lengths, strict=True):
        soundfile.write(audio / name, wave_of(samples), SAMPLE_RATE)
    Manifest(audio, names, np.array(lengths), SAMPLE_RATE).write(folder / f"{split}.tsv")
    writer = PackedWriter(folder / f"{split}.rvq", columns, LABEL_RATE_HZ) if packed else None
    with writer or TextWriter(folder, split, columns) as labels:
        for track, samples in enumerate(lengths):
            labels.append(codes_of(track, -(-samples // HOP), len(columns)))
    for column in columns:
        write_dictionary(folder / f"dict.{column}.txt", [1] * CODES)
    return folder
