"""A small corpus, a fitted teacher, and a label job of both."""

from pathlib import Path

import numpy as np
import soundfile

from mert_fairseq.label_extraction import LabelJob, TeacherSource
from mert_fairseq.manifest import Manifest
from mert_fairseq.teachers.features import FrameFeatures
from mert_fairseq.teachers.rvq import ResidualKMeans

SAMPLE_RATE = 8000
LABEL_RATE_HZ = 50
SEGMENT_SAMPLES = 1600  # samples of one colour


def noise(rng: np.random.Generator, samples: int) -> np.ndarray:
    """(samples,) noise that changes its colour five times a second, so that codes change within a track."""
    colours = rng.standard_normal((samples // SEGMENT_SAMPLES + 1, 5))
    parts = [np.convolve(rng.standard_normal(SEGMENT_SAMPLES + 4), colour, "valid") for colour in colours]
    return 0.1 * np.concatenate(parts)[:samples]


def write_audio(folder: Path, lengths: list[int], split: str = "train", sample_rate: int = SAMPLE_RATE) -> Path:
    """Write tracks of noise that changes colour; returns the manifest's path."""
    rng = np.random.default_rng(7)
    audio = folder / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    names = [f"{split}{track:03d}.wav" for track in range(len(lengths))]
    for name, samples in zip(names, lengths, strict=True):
        soundfile.write(audio / name, noise(rng, samples), sample_rate, subtype="PCM_16")
    Manifest(audio, names, np.array(lengths), sample_rate).write(folder / f"{split}.tsv")
    return folder / f"{split}.tsv"


def write_teacher(folder: Path, codebooks: int = 2, codes: int = 8, seed: int = 0) -> Path:
    """A teacher of 16-band log-mel features, fitted on noise like that of the corpus, so that its codes vary there."""
    features = FrameFeatures("logmel", SAMPLE_RATE, LABEL_RATE_HZ, 16)
    rng = np.random.default_rng(seed)
    tracks = [noise(rng, SAMPLE_RATE).astype(np.float32) for _ in range(20)]
    path = folder / f"teacher{seed}.npz"
    metadata = {"features": features.settings}
    ResidualKMeans.fit(features.stream(tracks), codebooks, codes, seed, metadata=metadata).save(path)
    return path


def make_job(folder: Path, lengths: list[int], split: str = "train", file_format: str = "text") -> LabelJob:
    """A job on tracks of ``lengths`` that writes labels beside the manifest."""
    manifest = write_audio(folder, lengths, split)
    return LabelJob(manifest, folder, "rvq", TeacherSource(str(write_teacher(folder))), file_format)


def label_files(folder: Path) -> dict[str, bytes]:
    """The files of a finished job, bytes by name, without audio, manifests and teachers."""
    kept = (path for path in folder.iterdir() if path.is_file() and path.suffix not in (".tsv", ".npz"))
    return {path.name: path.read_bytes() for path in kept if path.name not in ("train.json", "valid.json")}
