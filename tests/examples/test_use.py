"""examples/use: neighbours worked out by hand, and the commands of its README on a tiny model."""

import importlib.util
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from hf.tiny_pretraining import save_pretraining
from music_files import make_music
from tiny_checkpoint import write_checkpoint

from mert_fairseq.extraction.cli import main as extract
from mert_fairseq.hf import export_command, import_command, onnx_command


@pytest.fixture(scope="module")
def neighbours(repo_root):
    spec = importlib.util.spec_from_file_location("neighbours", repo_root / "examples/use/neighbours.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cosines_are_those_of_standardised_vectors(neighbours):
    # column means 2 and 20, deviations 2 and 20: (-1, 1), (1, 1), (1, -1), (-1, -1); a constant column counts nothing
    vectors = np.array([[0, 40, 5], [4, 40, 5], [4, 0, 5], [0, 0, 5]], dtype=np.float32)
    expected = [[1, 0, -1, 0], [0, 1, 0, -1], [-1, 0, 1, 0], [0, -1, 0, 1]]
    np.testing.assert_allclose(neighbours.similarities(vectors), expected, atol=1e-6)


def test_neighbours_come_nearest_first_and_without_the_track_itself(neighbours):
    cosines = np.array([[1, 0.2, 0.9], [0.2, 1, -0.5], [0.9, -0.5, 1]])
    found = neighbours.nearest(["a", "b", "c"], cosines, top=5)
    assert found == {"a": [("c", 0.9), ("b", 0.2)], "b": [("a", 0.2), ("c", -0.5)], "c": [("a", 0.9), ("b", -0.5)]}


def test_agreement_counts_tracks_that_have_company_and_states_chance(neighbours):
    found = {
        name: [neighbours.Neighbour(near, 1.0)]
        for name, near in {"x/a": "x/b", "x/b": "y/c", "y/c": "y/d", "y/d": "y/c", "z/e": "x/a"}.items()
    }
    # two folders of two tracks each, among four others: chance 1/4; z/e has no company and does not count
    assert neighbours.agreement(found, neighbours.folder_of) == (3, 4, 0.25)
    assert neighbours.agreement(found, neighbours.stem_of) is None


def test_tracks_of_one_timbre_find_each_other(neighbours, tmp_path, capsys):
    write_checkpoint(tmp_path / "mert.pt")
    for number in range(3):
        make_music(tmp_path / f"music/low/{number}.wav", 1.0, seed=0)
        make_music(tmp_path / f"music/high/{number}.wav", 1.0, seed=3)
    out = tmp_path / "means"
    assert extract([str(tmp_path / "mert.pt"), str(tmp_path / "music"), "--out", str(out), "--mean", "file"]) == 0
    capsys.readouterr()
    assert neighbours.main([str(out), "--layer", "1"]) == 0
    assert "lies in the same folder for 6 of 6 tracks (100%; by chance 40%)" in capsys.readouterr().out
    page = (out / "neighbours/index.html").read_text()
    assert page.count("<audio") == 6 * 4
    assert f'src="file://{tmp_path}/music/low/0.wav"' in page
    assert len((out / "neighbours/neighbours.tsv").read_text().splitlines()) == 1 + 6 * 3


def test_features_of_another_kind_are_refused(neighbours, tmp_path, capsys):
    write_checkpoint(tmp_path / "mert.pt")
    for number in range(3):
        make_music(tmp_path / f"music/{number}.wav", 0.5, seed=number)
    inputs = [str(tmp_path / "mert.pt"), str(tmp_path / "music"), "--out"]
    assert extract([*inputs, str(tmp_path / "frames")]) == 0
    assert extract([*inputs, str(tmp_path / "means"), "--mean", "file", "--layers", "1"]) == 0
    capsys.readouterr()
    for arguments, message in (
        ([tmp_path / "music"], "holds no features. Run mert-extract MODEL AUDIO --out"),
        ([tmp_path / "frames"], "found other features than one mean per file. Run mert-extract with --mean file."),
        ([tmp_path / "means", "--layer", "2"], "found layers 1, expected layer 2"),
    ):
        assert neighbours.main([str(argument) for argument in arguments]) == 1
        assert message in capsys.readouterr().err


def test_the_readmes_exports_run_one_after_the_other(repo_root, tmp_path, monkeypatch, capsys):
    text = (repo_root / "examples/use/README.md").read_text()
    commands = re.findall(r"^(?:    |`)((?:mert-export|mert-import|python examples/use/onnx)[^`\n]*)", text, re.M)
    assert [command.split()[0] for command in commands] == [
        "mert-export-hf", "mert-import-hf", "mert-export-onnx", "python"
    ]  # fmt: skip
    mains = {"mert-export-hf": export_command, "mert-import-hf": import_command, "mert-export-onnx": onnx_command}
    save_pretraining(tmp_path / "demo/run/checkpoint_last.pt")
    make_music(tmp_path / "demo/music/disc_01/bells.flac", 2.0, rate=24_000, channels=1)
    monkeypatch.chdir(tmp_path)
    for command in commands[:-1]:
        name, *arguments = shlex.split(command)
        assert mains[name].main(arguments) == 0, capsys.readouterr().err
    script, *arguments = shlex.split(commands[-1])[1:]
    subprocess.run([sys.executable, repo_root / script, *arguments], check=True)
    assert sorted(np.load("demo/bells.npz")) == ["layer_2", "layer_3"]


def test_the_readmes_commands_parse_and_its_python_runs(neighbours, repo_root, tmp_path, monkeypatch):
    text = (repo_root / "examples/use/README.md").read_text()
    commands = [
        shlex.split(line)
        for line in re.findall(r"^    ((?:mert-extract|python examples/use/neighbours).*)$", text, re.M)
    ]
    assert len(commands) >= 3
    from mert_fairseq.extraction.cli import parser

    for command in commands:
        if command[0] == "mert-extract":
            parser().parse_args(command[1:])
        else:
            neighbours.parser().parse_args(command[2:])
    code = "\n".join(
        line[4:]
        for line in re.search(r"((?:    .*\n|\n)*    from mert_fairseq(?:.*\n)(?:    .*\n|\n)*)", text)[1].splitlines()
    )
    checkpoint, music = re.findall(r'"(demo/.*?)"', code)
    write_checkpoint(tmp_path / checkpoint)
    make_music(tmp_path / music, 2.0, rate=24_000, channels=1)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["features"].shape == (149, 16)
    assert names["mean"].shape == (16,)
    assert sys.modules["mert_fairseq"].load_mert
