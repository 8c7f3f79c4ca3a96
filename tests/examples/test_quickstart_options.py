"""What the quickstart refuses before it does anything, and what it may delete."""

from functools import partial
from pathlib import Path

import pytest


@pytest.fixture
def run(typed):
    """Type run.sh with options, up to its first failure."""
    return partial(typed, "examples/quickstart/run.sh")


def test_an_unknown_option_is_refused_with_the_usage(run):
    done = run("--nope")
    assert done.returncode == 2
    assert "unknown option --nope" in done.stderr
    assert "--audio DIR" in done.stderr


def test_a_folder_that_no_quickstart_made_is_refused_and_left_alone(run, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/thesis.txt").write_text("years of work")
    done = run("--out", tmp_path)
    assert done.returncode == 2
    assert f"--out {tmp_path}: holds files that no quickstart made" in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "thesis.txt"]


def test_earlier_results_stay_until_there_are_new_ones(run, tmp_path):
    out, music = tmp_path / "demo", tmp_path / "music"
    assert run("--out", out, "--audio", make(music)).returncode == 1  # no audio in it
    for name in ("run", "report"):
        make(out / name)
    done = run("--out", out, "--audio", music)
    assert (done.returncode, "Manifests" in done.stderr) == (1, True)
    assert (out / "run").is_dir()
    assert (out / "report").is_dir()


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("updates", ["abc", "30", "-100", "1e3", "0100"])
def test_updates_are_a_number_large_enough_to_be_logged(run, tmp_path, updates):
    done = run("--out", tmp_path, "--updates", updates)
    assert done.returncode == 2
    assert f"--updates is '{updates}', expected a whole number from 40 on" in done.stderr
    assert not any(tmp_path.iterdir())


def test_music_that_is_not_there_is_told_before_anything_is_made(run, tmp_path):
    done = run("--out", tmp_path / "demo", "--audio", tmp_path / "nowhere")
    assert done.returncode == 2
    assert f"--audio {tmp_path / 'nowhere'}: no such folder" in done.stderr
    assert not (tmp_path / "demo").exists()
