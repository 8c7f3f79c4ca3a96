"""Every stage of examples/fma_small but the download, on a made-up archive, until the data check is green."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from fma_tree import build_fma_tree

from mert_fairseq.labels import TextLabels
from mert_fairseq.manifest import Manifest

SPLITS = ("train", "valid", "test")


def run(repo_root: Path, *arguments: object) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    command = [repo_root / "examples/fma_small/run.sh", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def zip_folder(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stage 1 leaves: two zip files."""
    folder = tmp_path_factory.mktemp("fma")
    tree = build_fma_tree(folder, per_genre=10, medium_extra=8, large_extra=4, clip_seconds=2.0)
    for part in (tree.metadata_dir, tree.audio_dir):
        zip_folder(part, folder / f"{part.name}.zip")
        shutil.rmtree(part)
    return folder


def options_of(archives: Path, out: Path) -> tuple[object, ...]:
    small = ("--codebooks", 2, "--codes", 16, "--fit-hours", 0.01)
    return ("--archives", archives, "--out", out, "--workers", 2, "--min-seconds", 1, *small)


@pytest.fixture(scope="module")
def converted(archives: Path, repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stages 2, 3 and 4 make of the zip files."""
    out = tmp_path_factory.mktemp("out")
    done = run(repo_root, "--stage", 2, "--stop-stage", 4, *options_of(archives, out))
    assert done.returncode == 0, done.stderr[-3000:]
    stages = [line for line in done.stderr.splitlines() if line.startswith("== ")]
    assert stages == ["== stage 2: unpack", "== stage 3: prepare", "== stage 4: convert"]
    return out


@pytest.mark.slow
def test_the_archives_become_manifests_with_genre_labels(converted: Path):
    manifests = {split: Manifest.read(converted / f"{split}.tsv") for split in SPLITS}
    assert sum(map(len, manifests.values())) == 64  # 80 less 16 bad ones
    for split, manifest in manifests.items():
        assert set(manifest.samples.tolist()) == {48_000}  # 2 s at 24 kHz
        assert len((converted / "genres" / f"{split}.genre_top").read_text().splitlines()) == len(manifest)


@pytest.mark.slow
def test_the_training_set_is_labelled_and_its_check_is_green(converted: Path, archives: Path, repo_root: Path):
    for tool in ("preprocess/extract_rvq_labels.py", "mert_fairseq/preprocessing/checks/cli.py"):
        if not (repo_root / tool).is_file():
            pytest.skip(f"{tool} is not here")
    done = run(repo_root, "--stage", 5, *options_of(archives, converted))
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    for split in SPLITS:
        for name in ("rvq_0", "rvq_1"):
            labels = TextLabels(converted / f"{split}.{name}", name)
            assert len(labels.frames) == len(Manifest.read(converted / f"{split}.tsv"))
            assert set(labels.frames.tolist()) == {150}  # 2 s at 75 Hz


def test_a_wrong_option_is_told(repo_root: Path):
    assert "unknown option --stages" in run(repo_root, "--stages", 3).stderr
    assert "--stage needs a value" in run(repo_root, "--stage").stderr
    assert "unknown option --;" in run(repo_root, "--", "common.seed=1").stderr  # no stage would take it
    for option, value in (("--stage", "four"), ("--stop-stage", 7)):
        done = run(repo_root, option, value)
        assert done.returncode == 2
        assert f"{option} is '{value}', expected 1 to 6" in done.stderr


def test_a_stage_whose_input_is_missing_stops_the_run(repo_root: Path, tmp_path: Path):
    done = run(repo_root, "--stage", 2, "--archives", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "fma_metadata.zip: no such file. Download it first" in done.stderr
    assert "stage 3" not in done.stderr
