"""Pretraining takes every teacher's labels, as its command writes them."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from random_encodec import random_encodec
from tone_corpus import make_tone_corpus

SETS = {
    "rvq": ("extract_rvq_labels", ["--codebooks", "2", "--codes", "8"], "rvq_0,rvq_1"),
    "logmel": ("kmeans_labels", ["--features", "logmel", "--classes", "12"], "logmel_12"),
    "chroma": ("kmeans_labels", ["--features", "chroma", "--classes", "8"], "chroma_8"),
    "mfcc": ("kmeans_labels", ["--features", "mfcc", "--classes", "10"], "mfcc_10"),
}
ONE_WORKER = ["--workers", "1"]


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training and two validation tracks of 2 s without labels."""
    return make_tone_corpus(tmp_path_factory.mktemp("music") / "data", codebooks=0)


def call(repo_root: Path, command: str, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, repo_root / f"preprocess/{command}.py", *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def train_on(train, music: Path, labels: str, save_dir: str) -> Path:
    run = train(f"task.data={music}", f"task.labels=[{labels}]", "optimization.max_update=2", save_dir=save_dir)
    assert run.status == 0, run.output
    assert sorted(run.losses) == [1, 2]
    return run.save_dir / "checkpoint_last.pt"


@pytest.mark.slow
def test_k_means_of_every_feature_trains_and_a_layer_of_it_is_the_next_teacher(train, repo_root, music) -> None:
    for name, (command, words, _) in SETS.items():
        npz = f"{music}/{name}.npz"
        call(repo_root, command, "fit", str(music), "--teacher", npz, *words, *ONE_WORKER)
        call(repo_root, command, "apply", str(music), "--teacher", npz, *ONE_WORKER)
    train_on(train, music, SETS["rvq"][2], "residual")
    train_on(train, music, f"{SETS['logmel'][2]},{SETS['chroma'][2]}", "version_0")  # MERT-v0's two label sets
    first = train_on(train, music, SETS["mfcc"][2], "first")
    npz = f"{music}/second.npz"
    words = ["--features", "mert", "--checkpoint", str(first), "--layer", "1", "--classes", "9"]
    call(repo_root, "kmeans_labels", "fit", str(music), "--teacher", npz, *words, *ONE_WORKER)
    call(repo_root, "kmeans_labels", "apply", str(music), "--teacher", npz, *ONE_WORKER)
    train_on(train, music, "mert1_9", "second")


@pytest.mark.slow
def test_encodecs_labels_train(train, repo_root, music, tmp_path) -> None:
    torch.save(random_encodec().state_dict(), tmp_path / "encodec.th")
    words = ["--teacher", "encodec", "--weights", str(tmp_path / "encodec.th"), "--format", "packed", *ONE_WORKER]
    call(repo_root, "extract_rvq_labels", "apply", str(music), *words)
    train_on(train, music, ",".join(f"encodec_{q}" for q in range(8)), "encodec")
