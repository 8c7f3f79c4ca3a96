"""K-means labels from the command: MERT-v0's two label sets and HuBERT's two iterations, on a small corpus."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sklearn.cluster import KMeans
from tiny_checkpoint import write_checkpoint
from tone_corpus import make_tone_corpus

from mert_fairseq.labels import LabelDictionary, open_labels
from mert_fairseq.models.layer_features import LayerFeatures
from mert_fairseq.preprocessing.checks.cli import main as check_data
from mert_fairseq.teachers.code_teachers import KMeansTeacher
from mert_fairseq.teachers.rvq import ResidualKMeans

SETS = {"logmel": 12, "chroma": 6, "mfcc": 10}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, run_command: Callable[..., int]) -> Path:
    """Ten tracks of 1 s with three label sets."""
    folder = make_tone_corpus(tmp_path_factory.mktemp("kmeans") / "data", seconds=1, codebooks=0)
    for kind, classes in SETS.items():
        npz = folder / f"{kind}.npz"
        words = ["--features", kind, "--classes", classes, "--workers", 1]
        assert run_command("kmeans_labels", "fit", folder, "--teacher", npz, *words) == 0
        assert run_command("kmeans_labels", "apply", folder, "--teacher", npz, "--workers", 1) == 0
    return folder


@pytest.mark.parametrize("kind", SETS)
def test_labels_are_the_classes_that_scikit_learn_predicts(labelled: Path, kind: str) -> None:
    name = f"{kind}_{SETS[kind]}"
    teacher = KMeansTeacher.load(labelled / f"{kind}.npz")
    reference = KMeans(SETS[kind], init=teacher.quantiser.centroids[0], n_init=1, max_iter=1)
    reference.fit(teacher.quantiser.centroids[0])
    wave = soundfile.read(labelled / "audio/train_3.wav", dtype="float32")[0]
    rows = (teacher.features(torch.from_numpy(wave)).numpy() - teacher.quantiser.mean) / teacher.quantiser.scale
    labels = open_labels(labelled, "train", [name]).codes(3)[:, 0]
    assert len(labels) == 75
    assert (labels == reference.predict(rows.astype(np.float32))).mean() > 0.98  # the rest are ties


def test_label_sets_have_their_own_files_and_dictionaries(labelled: Path) -> None:
    for kind, classes in SETS.items():
        name = f"{kind}_{classes}"
        assert len(LabelDictionary.read(labelled / f"dict.{name}.txt").counts) == classes
        assert len((labelled / f"train.{name}").read_text().splitlines()) == 8
        assert len((labelled / f"valid.{name}").read_text().splitlines()) == 2
        about = json.loads((labelled / f"train.{name}.json").read_text())["job"]["about"]
        assert about["features"]["kind"] == kind
        assert about["fitted_on_frames"] == 8 * 75


def test_replacing_the_labels_of_another_teacher_is_announced(
    labelled: Path, tmp_path: Path, run_command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.npz"
    words = ["--features", "chroma", "--classes", 6, "--workers", 1, "--seed", 9]
    assert run_command("kmeans_labels", "fit", labelled, "--teacher", other, *words) == 0
    out = tmp_path / "labels"
    for npz, announced in ((labelled / "chroma.npz", False), (other, True), (other, False)):
        capsys.readouterr()
        apply = ["apply", labelled, "--teacher", npz, "--splits", "train", "--label-dir", out, "--workers", 1]
        assert run_command("kmeans_labels", *apply) == 0
        text = "train.chroma_6: the labels and dictionaries of k-means "
        assert (text in capsys.readouterr().err) == announced


def test_the_data_check_accepts_all_label_sets(labelled: Path) -> None:
    assert check_data([str(labelled), "--decode", "all", "--workers", "1"]) == 0


def test_chroma_classes_follow_the_note_and_not_the_octave(labelled: Path, tmp_path: Path) -> None:
    teacher = KMeansTeacher.load(labelled / "chroma.npz")
    seconds = np.arange(24_000) / 24_000
    low, high = (
        np.concatenate(list(teacher.codes([(0.3 * np.sin(2 * np.pi * hz * seconds)).astype(np.float32)])))
        for hz in (220.0, 440.0)
    )
    assert (low == high)[10:-10].mean() > 0.9


def test_parts_are_merged_and_a_missing_part_is_an_error(
    labelled: Path, tmp_path: Path, run_command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [labelled, "--teacher", labelled / "chroma.npz", "--label-dir", tmp_path, "--splits", "train"]
    assert run_command("kmeans_labels", "apply", *words, "--shard", "1/2", "--workers", 1) == 0
    assert run_command("kmeans_labels", "merge", *words) == 1
    assert "missing 0/2 of 2 parts. Run each (apply --shard i/2)" in capsys.readouterr().err
    assert run_command("kmeans_labels", "apply", *words, "--shard", "0/2", "--workers", 1) == 0
    assert run_command("kmeans_labels", "merge", *words) == 0
    assert (tmp_path / "train.chroma_6").read_bytes() == (labelled / "train.chroma_6").read_bytes()


def test_an_impossible_part_says_what_was_expected(
    labelled: Path, run_command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_command("kmeans_labels", "apply", labelled, "--teacher", labelled / "chroma.npz", "--shard", "2/2")
    assert stopped.value.code == 2
    assert "argument --shard: found 2/2, expected i/n with i from 0 to n - 1" in capsys.readouterr().err


def test_too_little_music_is_a_clear_error(
    labelled: Path, tmp_path: Path, run_command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [labelled, "--teacher", tmp_path / "t.npz", "--classes", 5000, "--workers", 1]
    assert run_command("kmeans_labels", "fit", *words) == 1
    assert (
        "found 600 frames, 600 of them distinct, expected 5000 or more, one per class. Fit on more"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "t.npz").exists()


def test_a_teacher_of_several_codebooks_names_the_other_command(
    labelled: Path, tmp_path: Path, run_command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    npz = tmp_path / "rvq.npz"
    words = ["--codebooks", 2, "--codes", 4, "--workers", 1]
    assert run_command("extract_rvq_labels", "fit", labelled, "--teacher", npz, *words) == 0
    assert run_command("kmeans_labels", "apply", labelled, "--teacher", npz, "--label-dir", tmp_path / "new") == 1
    assert "rvq.npz: found 2 codebooks, expected the 1 of a K-means teacher. Label" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "mert", "checkpoint": "x.pt", "layer": 6}, "features of kind 'mert', expected .*kmeans_labels.py"),
        ({"kind": "logmel", "colour": 1}, "settings that are not those of logmel .*'colour'.*Fit the teacher again"),
    ],
)
def test_unknown_features_are_an_error(settings: dict, message: str, tmp_path: Path) -> None:
    zeros = np.zeros((1, 2, 4), np.float32)
    ResidualKMeans(zeros, zeros[0, 0], zeros[0, 0], {"features": settings}).save(tmp_path / "t.npz")
    with pytest.raises(ValueError, match=f"t.npz: found {message}"):
        KMeansTeacher.load(tmp_path / "t.npz")


def test_a_second_iteration_clusters_a_layer_of_the_first_model(
    labelled: Path, tmp_path: Path, run_command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write_checkpoint(tmp_path / "first/checkpoint_last.pt")
    words = ["--teacher", tmp_path / "second.npz", "--workers", 1]
    asked = [*words, "--features", "mert", "--classes", 5]
    assert run_command("kmeans_labels", "fit", labelled, *asked) == 1
    assert "--features mert: expected --checkpoint and --layer" in capsys.readouterr().err
    assert run_command("kmeans_labels", "fit", labelled, *asked, "--checkpoint", checkpoint, "--layer", 2) == 0
    moved = checkpoint.rename(tmp_path / "moved.pt")
    assert run_command("kmeans_labels", "apply", labelled, *words, "--label-dir", tmp_path) == 1
    assert "no such checkpoint" in capsys.readouterr().err
    assert run_command("kmeans_labels", "apply", labelled, *words, "--label-dir", tmp_path, "--checkpoint", moved) == 0
    features = LayerFeatures(str(moved), 2)
    wave = soundfile.read(labelled / "audio/train_0.wav", dtype="float32")[0]
    expected = ResidualKMeans.load(tmp_path / "second.npz").encode(features(torch.from_numpy(wave)).numpy())
    np.testing.assert_array_equal(open_labels(tmp_path, "train", ["mert2_5"]).codes(0), expected)
    assert check_data([str(labelled), "--label-dir", str(tmp_path), "--decode", "all", "--workers", "1"]) == 0
