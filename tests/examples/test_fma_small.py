"""Every stage of examples/fma_small but the download, on a made-up archive, until the data check is green."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mert_fairseq.fma.testing import build_fma_tree
from mert_fairseq.labels import TextLabels
from mert_fairseq.manifest import Manifest

SPLITS = ("train", "valid", "test")
STAGES = {2: "unpack", 3: "prepare", 4: "convert", 5: "label", 6: "check"}


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


@pytest.mark.slow
def test_the_stages_lead_from_the_archives_to_a_green_check(archives: Path, repo_root: Path, tmp_path: Path):
    options = ("--archives", archives, "--out", tmp_path, "--workers", 2, "--min-seconds", 1)
    small = ("--codebooks", 2, "--codes", 16, "--fit-hours", 0.01)
    done = run(repo_root, "--stage", 2, *options, *small)
    assert done.returncode == 0, done.stderr[-3000:]
    stages = [line for line in done.stderr.splitlines() if line.startswith("== ")]
    assert stages == [f"== stage {number}: {name}" for number, name in STAGES.items()]
    manifests = {split: Manifest.read(tmp_path / f"{split}.tsv") for split in SPLITS}
    assert sum(map(len, manifests.values())) == 64  # 80 less 16 bad ones
    for split, manifest in manifests.items():
        for name in ("rvq_0", "rvq_1"):
            labels = TextLabels(tmp_path / f"{split}.{name}", name)
            assert set(labels.frames.tolist()) == {150}  # 2 s at 75 Hz
            assert len(labels.frames) == len(manifest)
        assert len((tmp_path / "genres" / f"{split}.genre_top").read_text().splitlines()) == len(manifest)


def test_a_wrong_option_is_told(repo_root: Path):
    assert "unknown option --stages" in run(repo_root, "--stages", 3).stderr
    assert "--stage needs a value" in run(repo_root, "--stage").stderr


def test_a_stage_whose_input_is_missing_stops_the_run(repo_root: Path, tmp_path: Path):
    done = run(repo_root, "--stage", 2, "--archives", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "fma_metadata.zip: no such file. Download it first" in done.stderr
    assert "stage 3" not in done.stderr
