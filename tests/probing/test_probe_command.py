"""mert-probe as users call it: runs, resumption, checks, lists and errors in plain words."""

import json
import shutil

import pytest
from tiny_mert import save_tiny_mert

from mert_fairseq.probing.cli import main

QUICK = ["--seeds", "2", "--learning-rates", "0.01", "--max-epochs", "3", "--quiet", "--device", "cpu"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.pt"
    save_tiny_mert(path, encoder_layerdrop=0.0)
    return path


@pytest.fixture
def data(tree, tmp_path):
    """The rendered notes and a folder that is no data set of ours."""
    shutil.copytree(tree("notes"), tmp_path / "data/notes")
    (tmp_path / "data/other").mkdir()
    return tmp_path / "data"


def test_several_models_and_baselines_share_one_report(data, checkpoint, tmp_path, capsys):
    models = [str(checkpoint), f"random:{checkpoint}", f"raw-conv:{checkpoint}", "mfcc"]
    out = tmp_path / "out"
    assert main(["rendered-pitch", "--model", *models, "--data", str(data / "notes"), "--out", str(out), *QUICK]) == 0
    printed = capsys.readouterr().out
    page = (out / "rendered-pitch/index.html").read_text()
    for name in ("tiny", "random_", "raw-conv_", "mfcc"):
        assert name in printed
        assert name in page
    assert "(published)" not in page
    assert (out / "rendered-pitch/layers.png").is_file()
    assert (out / "rendered-pitch/few_shot.png").is_file()
    rows = (out / "results.csv").read_text().splitlines()
    assert len(rows) == 1 + 4 * 2
    assert (out / "rendered-pitch/splits/train.txt").read_text().splitlines()[0] == "clip_0.wav"
    runs = next((out / "rendered-pitch").glob("model*tiny/runs.csv")).read_text().splitlines()
    assert len(runs) == 1 + (4 + 1) * 2  # states 0 to 3 and the weighted sum, two seeds


def test_one_task_finds_its_folder_among_all_data_sets(data, capsys):
    printed = []
    for folder in (data, data / "notes"):
        assert main(["check", "rendered-pitch", "--data", str(folder)]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_all_runs_the_existing_data_sets_and_continues_where_it_stopped(data, tmp_path, capsys, monkeypatch):
    call = ["all", "--model", "mfcc", "--data", str(data), "--out", str(tmp_path / "out"), "--json", *QUICK]
    from mert_fairseq.probing import verbs

    real, ran = verbs.run_task, []

    def stopping(task, *arguments, **options):
        if ran:
            raise KeyboardInterrupt
        ran.append(task.name)
        return real(task, *arguments, **options)

    monkeypatch.setattr(verbs, "run_task", stopping)
    with pytest.raises(KeyboardInterrupt):
        main(call)
    first = tmp_path / f"out/{ran[0]}/mfcc/results.json"
    written = first.stat().st_mtime_ns
    monkeypatch.setattr(verbs, "run_task", real)
    capsys.readouterr()
    assert main(call) == 0
    captured = capsys.readouterr()
    assert {each["task"] for each in json.loads(captured.out)["results"]} == {"rendered-pitch", "rendered-family"}
    assert "skipped: composer, dance" in captured.err
    assert first.stat().st_mtime_ns == written


def test_a_task_whose_data_is_wrong_does_not_stop_the_others(data, tree, tmp_path, capsys):
    shutil.copytree(tree("dance"), data / "dance")
    (data / "dance/clip_3.wav").unlink()
    call = ["all", "--model", "mfcc", "--data", str(data), "--out", str(tmp_path / "out"), "--json", *QUICK]
    assert main(call) == 1
    found = json.loads(capsys.readouterr().out)
    assert list(found["failures"]) == ["rendered-dance, mfcc"]
    assert "1 of 18 audio files are missing, the first is clip_3.wav" in found["failures"]["rendered-dance, mfcc"]
    assert len(found["results"]) == 2


def test_check_and_splits_and_list(data, tmp_path, capsys):
    assert main(["check", "rendered-pitch", "--data", str(data / "notes"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rendered-pitch"]["sizes"] == {"train": 6, "valid": 6, "test": 6}
    (data / "notes/clip_1.wav").unlink()
    assert main(["check", "rendered-pitch", "--data", str(data / "notes")]) == 1
    assert "1 of 18 audio files are missing: clip_1.wav" in capsys.readouterr().out
    assert main(["splits", "rendered-pitch", "--data", str(data / "notes"), "--out", str(tmp_path / "lists")]) == 0
    assert len((tmp_path / "lists/test.txt").read_text().splitlines()) == 6
    capsys.readouterr()
    assert main(["list"]) == 0
    assert "vocalset-technique" in capsys.readouterr().out
    assert main(["list", "musdb18"]) == 0
    assert "https://zenodo.org/record/1117372" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (["polka", "--model", "mfcc"], "found the task 'polka', expected one of gtzan-genre"),
        (["rendered-pitch", "--model", "nothing.pt"], "nothing.pt: no such checkpoint or folder"),
        (["rendered-pitch", "--model", "random"], "give random:PATH"),
        (["rendered-pitch", "--model", "mfcc", "--layers", "9"], "found layer 9, expected some of 0"),
        (
            ["rendered-pitch", "--model", "mfcc", "--layers", "top"],
            "found 'top', expected numbers of at least 0, or all",
        ),
        (["rendered-pitch", "--model", "mfcc", "--splits", "."], "train.txt: no such split list"),
        (["rendered-pitch"], "a run needs --model, --data and --out"),
        (["musdb18", "--model", "mfcc"], "train: not found. MUSDB18: Fetch musdb18.zip"),
    ],
)
def test_wrong_input_is_reported_in_one_line(call, text, data, tmp_path, capsys):
    assert main([*call, "--data", str(data / "notes"), "--out", str(tmp_path / "out"), *QUICK]) == 1
    captured = capsys.readouterr().err
    assert text in captured
    assert "Traceback" not in captured


def test_a_folder_without_any_data_set_is_an_error(tmp_path, capsys):
    assert main(["all", "--model", "mfcc", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "found no data set in it, expected some of the folders" in capsys.readouterr().err
