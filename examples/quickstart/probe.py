"""Linear probe of the synthesised music: do a frame's features tell the root of the chord, and the tonic of the key?

    python examples/quickstart/probe.py demo/run/checkpoint_last.pt demo/data demo/report

Reads the chords.jsonl that synthesise.py wrote beside the music. A logistic regression learns from half of the
training discs and is tested on the held-out discs; the layer is chosen on a quarter of the discs to learn from. The
model's features stand beside those of random weights and of plain spectra. Writes OUT/probe.json.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from scipy.ndimage import uniform_filter1d
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from mert_fairseq.manifest import Manifest
from mert_fairseq.probing.features.source import Source, load_source

LABELS = ("root of the chord", "tonic of the key")  # pitch classes, 0 is C
FRAMES_A_SECOND = 5  # that the probe sees: neighbouring frames are alike
SMOOTHED_SECONDS = 1.0  # running means over time are further choices beside the layers, for all features
LEARN_FROM_EVERY = 2  # training discs
CHOOSE_ON_EVERY = 4  # of these discs


class Track(NamedTuple):
    """A track, the pitch class of its tonic, and that of the chord's root in each bar."""

    path: Path
    disc: str
    bar_seconds: float
    tonic: int
    roots: Sequence[int]

    def labels_at(self, seconds: np.ndarray) -> np.ndarray:
        """(N, 2): root and tonic at N times."""
        roots = np.asarray(self.roots)[(seconds / self.bar_seconds).astype(int)]
        return np.stack([roots, np.full_like(roots, self.tonic)], axis=1)


class Frames(NamedTuple):
    """N frames: features (N, S, D) of S layers, labels (N, 2), and discs (N,)."""

    features: np.ndarray
    labels: np.ndarray
    discs: np.ndarray


def read_tracks(manifest: Path) -> list[Track]:
    """The tracks of a manifest of synthesised music."""
    listed = Manifest.read(manifest)
    music = Path(listed.root)
    rows = map(json.loads, (music / "chords.jsonl").read_text().splitlines())
    facts = {row["path"]: (row["bar_seconds"], row["tonic"], row["roots"]) for row in rows}
    return [Track(music / name, Path(name).parts[0], *facts[name]) for name in listed.paths]


def frames_of(source: Source, tracks: Sequence[Track]) -> Frames:
    """Frames of all tracks: the layers, then their running means over time."""
    parts = []
    step = round(source.rate_hz / FRAMES_A_SECOND)
    for track in tqdm(tracks, desc=f"features of {source.name}", unit="track", leave=False):
        wave = torch.from_numpy(soundfile.read(track.path, dtype="float32")[0])
        layers = source.frames(wave[None])[0].numpy()
        means = uniform_filter1d(layers, round(SMOOTHED_SECONDS * source.rate_hz), axis=1, mode="nearest")
        chosen = np.arange(step // 2, layers.shape[1], step)
        features = np.concatenate([layers[:, chosen], means[:, chosen]]).swapaxes(0, 1)
        parts.append(Frames(features, track.labels_at(chosen / source.rate_hz), np.full(len(chosen), track.disc)))
    return Frames(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def classifier() -> Pipeline:
    """A linear classifier on standardised features."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))


def probe(learn: Frames, test: Frames, label: int) -> tuple[float, int]:
    """Accuracy on the test frames, and the layer, chosen on discs that the first classifiers did not learn from."""
    chosen_on = np.isin(learn.discs, np.unique(learn.discs)[::CHOOSE_ON_EVERY])
    classes, scores = learn.labels[:, label], []
    for layer in range(learn.features.shape[1]):
        model = classifier().fit(learn.features[~chosen_on, layer], classes[~chosen_on])
        scores.append(model.score(learn.features[chosen_on, layer], classes[chosen_on]))
    layer = int(np.argmax(scores))
    model = classifier().fit(learn.features[:, layer], classes)
    return float(model.score(test.features[:, layer], test.labels[:, label])), layer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path, help="folder with train.tsv and valid.tsv")
    parser.add_argument("out", type=Path, help="folder of the report")
    arguments = parser.parse_args()
    training, held_out = (read_tracks(arguments.data / f"{split}.tsv") for split in ("train", "valid"))
    discs = sorted({track.disc for track in training})[::LEARN_FROM_EVERY]
    training = [track for track in training if track.disc in discs]
    sources = {"model": str(arguments.checkpoint), "random weights": f"random:{arguments.checkpoint}"}
    sources |= {"CQT": "cqt", "log-mel": "logmel", "chroma": "chroma"}
    accuracy: dict[str, list[float]] = {}
    for name, model in sources.items():
        source = load_source(model, "cpu")
        learn, test = frames_of(source, training), frames_of(source, held_out)
        found = [probe(learn, test, label) for label in range(len(LABELS))]
        accuracy[name] = [share for share, _ in found]
        shares = ", ".join(f"{text} {share:.3f}" for text, share in zip(LABELS, accuracy[name], strict=True))
        print(f"{name}: {shares}")
    counts = [np.bincount(classes) for classes in test.labels.T]
    figures = {
        "labels": LABELS,
        "accuracy": accuracy,
        "most_frequent": [float(each.max() / each.sum()) for each in counts],
        "learnt_from": len(learn.labels),
        "tested": len(test.labels),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "probe.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
