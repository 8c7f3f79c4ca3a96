"""Accuracy of the most frequent class and of classifiers on log-mel statistics, on the test clips of fine-tuning.

    python examples/ablation/genre_baselines.py data/divided

The features of a track are the mean and the standard deviation over time of 128 log-mel bands, over at most six evenly
spaced clips of 5 s, standardised by the training tracks. Validation selects the setting of a classifier.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from mert_fairseq.audio.read import read_span
from mert_fairseq.genre.audio.dataset import clip_starts
from mert_fairseq.genre.features.baseline_models import fit_best
from mert_fairseq.jobs.command import FROM_THE_BEGINNING, run_command
from mert_fairseq.labels.genre_labels import GenreLabels
from mert_fairseq.manifest import Manifest
from mert_fairseq.probing.features.spectral import frames_of

RATE, CLIP_SAMPLES, CLIPS = 24_000, 120_000, 6  # as in config/genre/mert_finetune.yaml
MODELS = ("most frequent genre", "logistic regression", "SVM")


def statistics(path: Path, samples: int) -> np.ndarray:
    """(256,) mean and standard deviation of the log-mel frames of a track's clips."""
    length = min(samples, CLIP_SAMPLES)
    waves = [
        read_span(path, start, length, "float32", sample_rate=RATE) for start in clip_starts(samples, length, CLIPS)
    ]
    frames = torch.cat([frames_of("logmel", torch.from_numpy(wave)) for wave in waves])
    return torch.cat([frames.mean(0), frames.std(0)]).numpy()


def split_of(data: Path, labels: GenreLabels, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 256) and classes (N,) of the tracks of a split that have a class."""
    manifest = Manifest.read(data / f"{split}.tsv")
    titles = labels.read(split, len(manifest))
    tracks = [track for track, found in enumerate(titles) if found]
    features = [statistics(manifest.audio_path(track), int(manifest.samples[track])) for track in tracks]
    return np.stack(features), np.array([labels.titles.index(titles[track][0]) for track in tracks])


def baselines(data: Path) -> str:
    """A line per baseline with its accuracy on the test split."""
    labels = GenreLabels(data / "genres", "genre_top")
    splits = {split: split_of(data, labels, split) for split in ("train", "valid", "test")}
    mean, std = splits["train"][0].mean(0), splits["train"][0].std(0) + 1e-6
    train, valid, test = (((features - mean) / std, classes) for features, classes in splits.values())
    lines = []
    for model in MODELS:
        fitted = fit_best(model, train, valid, test[0], len(labels.titles), seed=0)
        right = int((fitted.scores.argmax(1) == test[1]).sum())
        setting = f" ({fitted.candidate.setting})" if fitted.candidate.setting else ""
        lines.append(f"{model}{setting}: {right} of {len(test[1])} test tracks, {right / len(test[1]):.1%}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of {train,valid,test}.tsv and genres/")
    arguments = parser.parse_args()
    return run_command("genre_baselines.py", lambda: baselines(arguments.data), FROM_THE_BEGINNING)


if __name__ == "__main__":
    sys.exit(main())
