"""Every stage of examples/fma_genre from features but the download, on a made-up archive."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from fma_tree import build_fma_tree
from tiny_mert import save_tiny_mert

QUICK = ["optimization.max_epoch=2", "model.encoder_layers=1", "dataset.batch_size=16"]


def run(repo_root: Path, *arguments: object) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    command = [repo_root / "examples/fma_genre/run.sh", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stage 1 leaves: a zip file."""
    folder = tmp_path_factory.mktemp("fma")
    metadata = build_fma_tree(folder, per_genre=20, medium_extra=0, audio_subset=None, bad=False).metadata_dir
    with zipfile.ZipFile(folder / "fma_metadata.zip", "w") as archive:
        for file in sorted(metadata.iterdir()):
            archive.write(file, file.relative_to(folder))
    shutil.rmtree(metadata)
    return folder


@pytest.mark.slow
def test_the_stages_from_features_end_in_a_report_beside_baselines(archives, tmp_path, repo_root):
    done = run(repo_root, "--stage", 2, "--subset", "small", "--archives", archives, "--out", tmp_path, "--", *QUICK)
    assert done.returncode == 0, done.stderr[-3000:]
    stages = [line for line in done.stderr.splitlines() if line.startswith("== ")][:5]
    assert stages == [
        "== stage 2: unpack",
        "== stage 3: check",
        "== stage 4: baselines",
        "== stage 5: train",
        "== stage 6: report",
    ]
    assert "These are not FMA's published tables." in done.stdout
    scores = json.loads((tmp_path / "features/report/scores.json").read_text())
    assert scores["tracks"] == 16
    page = (tmp_path / "features/report/index.html").read_text()
    for text in ("logistic regression", "fma_feature_transformer", "Not the published FMA"):
        assert text in page
    assert json.loads((tmp_path / "features/history.json").read_text())["epoch"] == [1, 2]


@pytest.mark.slow
def test_the_stages_from_audio_end_in_a_report_on_the_test_split(tmp_path, repo_root):
    tree = build_fma_tree(tmp_path, bad=False)
    data, mert, out = tmp_path / "data", tmp_path / "mert.pt", tmp_path / "exp"
    prepare = [sys.executable, repo_root / "preprocess/prepare_fma.py", tree.metadata_dir, tree.audio_dir, data]
    environment = os.environ | {"PYTHONPATH": str(repo_root)}
    subprocess.run([*map(str, prepare), "--min-seconds", "1", "--workers", "1"], env=environment, check=True)
    save_tiny_mert(mert)
    quick = ["common.cpu=true", "common.fp16=false", "dataset.num_workers=0", "optimization.max_update=4"]
    arguments = ["--stage", 7, "--subset", "small", "--mert", mert, "--audio", data, "--out", out, "--", *quick]
    done = run(repo_root, *arguments)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert [line for line in done.stderr.splitlines() if line.startswith("== ")] == [
        "== stage 7: finetune",
        "== stage 8: report",
    ]
    tracks = len((data / "test.tsv").read_text().splitlines()) - 1
    assert json.loads((out / "mert/report/scores.json").read_text())["tracks"] == tracks > 0


@pytest.mark.parametrize("option", ["--stage", "--stop-stage"])
def test_stages_from_audio_need_a_pretrained_mert(repo_root, option):
    done = run(repo_root, option, 7)
    assert done.returncode == 2
    assert "stages 7 and 8 need --mert CHECKPOINT" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--stage", "two"), "--stage is 'two', expected 1 to 8"),
        (("--stop-stage", 9), "--stop-stage is '9', expected 1 to 8"),
        (("--stage", 0), "--stage is '0', expected 1 to 8"),
        (("--stage", 5, "--stop-stage", 3), "--stage 5 comes after --stop-stage 3, so that nothing would run"),
    ],
)
def test_stages_are_numbers_in_range_and_in_order(repo_root, options, message):
    done = run(repo_root, *options)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_wrong_option_is_told(repo_root):
    assert "unknown option --stages" in run(repo_root, "--stages", 3).stderr
    assert "--subset needs a value" in run(repo_root, "--subset").stderr


def test_a_stage_whose_input_is_missing_stops_the_run(repo_root, tmp_path):
    done = run(repo_root, "--stage", 2, "--archives", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "fma_metadata.zip: no such file. Download it first" in done.stderr
    assert "stage 3" not in done.stderr
