"""The quickstart's probe of chords: labels at the right time, and a classifier that finds what features hold."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_checkpoint import write_checkpoint

sys.path.insert(0, str(Path(__file__).parents[2] / "examples/quickstart"))

import probe
import synthesise

from mert_fairseq.manifest import Manifest


def write_manifest(path: Path, music: Path, names: list[str], samples: int) -> None:
    Manifest(music, names, np.full(len(names), samples, dtype=np.int64), 24_000, {}).write(path)


def test_a_frame_has_the_root_of_its_bar_and_the_tonic_of_its_track():
    track = probe.Track(Path("a.flac"), "disc_01", bar_seconds=2.0, tonic=0, roots=[7, 0, 5])
    assert track.labels_at(np.array([0.0, 1.99, 2.0, 5.9])).tolist() == [[7, 0], [7, 0], [0, 0], [5, 0]]


def test_the_layer_that_holds_the_label_is_found_and_its_accuracy_is_that_of_the_test_frames():
    rng = np.random.default_rng(0)

    def made_up(frames: int, right: float) -> probe.Frames:
        labels = rng.integers(12, size=(frames, 2))
        shown = np.where(np.arange(frames) < right * frames, labels[:, 1], (labels[:, 1] + 1) % 12)
        features = rng.normal(size=(frames, 2, 12)).astype(np.float32)
        features[:, 1] = 3 * np.eye(12)[shown]
        return probe.Frames(features, labels, np.array([f"disc_{i % 8:02d}" for i in range(frames)]))

    accuracy, layer = probe.probe(made_up(960, right=1.0), made_up(200, right=0.75), label=1)
    assert layer == 1
    assert accuracy == pytest.approx(0.75)


def test_from_music_to_figures(tmp_path, monkeypatch, capsys):
    music = tmp_path / "music"
    paths = synthesise.write_discs(music, tracks=30, seconds=1.0, seed=0)
    names = [path.relative_to(music).as_posix() for path in paths]
    (tmp_path / "data").mkdir()
    write_manifest(tmp_path / "data/train.tsv", music, names[:24], 24_000)
    write_manifest(tmp_path / "data/valid.tsv", music, names[24:], 24_000)
    checkpoint = write_checkpoint(tmp_path / "run/checkpoint.pt")
    monkeypatch.setattr(sys, "argv", ["probe.py", *map(str, (checkpoint, tmp_path / "data", tmp_path / "report"))])
    probe.main()
    figures = json.loads((tmp_path / "report/probe.json").read_text())
    assert list(figures["accuracy"]) == ["model", "random weights", "CQT", "log-mel", "chroma"]
    assert figures["tested"] == 6 * 5  # tracks x 5 frames a second
    assert figures["learnt_from"] == 12 * 5  # two discs of four
    assert all(0 <= share <= 1 for shares in figures["accuracy"].values() for share in shares)
    assert "random weights: " in capsys.readouterr().out
