"""mert-genre predict: any file to genres, from a checkpoint that needs no other file."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf
from tiny_checkpoint import write_checkpoint
from tiny_mert import save_tiny_mert

from mert_fairseq.genre.audio.model import MERTGenreConfig, MERTGenreModel
from mert_fairseq.genre.audio.predict import read_clips
from mert_fairseq.genre.audio.task import GenreAudioConfig
from mert_fairseq.genre.base_task import load_classifier
from mert_fairseq.genre.cli import main

TITLES = ["Electronic", "Folk", "Hip-Hop", "Rock"]
RATE = 24_000


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A fine-tuned checkpoint as fairseq saves it; that of the pretraining is gone, and the data too."""
    folder = tmp_path_factory.mktemp("exp")
    save_tiny_mert(folder / "mert.pt")
    options = {"data": "/no/such/data", "max_sample_size": 12_000, "seed": 1, "train_subset": "train"}
    task_cfg = {**vars(GenreAudioConfig()), **options, "history_dir": "/no/such/dir", "_name": "genre_audio"}
    model_cfg = {**vars(MERTGenreConfig(checkpoint=str(folder / "mert.pt"))), "_name": "mert_genre"}
    task = SimpleNamespace(vocabulary=TITLES, cfg=SimpleNamespace(**task_cfg), state=SimpleNamespace(state_dict={}))
    torch.manual_seed(0)
    model = MERTGenreModel.build_model(OmegaConf.create(model_cfg), task)
    (folder / "mert.pt").unlink()
    state = {**task.state.state_dict, "genres": TITLES, "genre_counts": [1] * 4, "history": []}
    path = folder / "checkpoint_best.pt"
    saved = {"cfg": {"task": task_cfg, "model": model_cfg}, "model": model.state_dict(), "task_state": state}
    torch.save(
        {"args": None, **saved, "optimizer_history": [{"num_updates": 1, "best_loss": 1.0}], "extra_state": {}}, path
    )
    return path


@pytest.fixture
def tone(tmp_path):
    def write(name, rate, seconds=1.0, **options):
        wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
        channels = options.pop("channels", 1)
        soundfile.write(tmp_path / name, np.tile(wave[:, None], channels), rate, **options)
        return tmp_path / name

    return write


def predict(capsys, *arguments):
    status = main(["predict", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_probabilities_add_up_whatever_the_rate_format_and_channels(checkpoint, tone, capsys):
    files = [
        tone("a.wav", RATE, subtype="FLOAT"),
        tone("b.flac", 44_100, channels=2),
        tone("c.ogg", 48_000),
        tone("d.mp3", 44_100, channels=2),
    ]
    status, out, _ = predict(capsys, checkpoint, *files, "--top", 4, "--json")
    results = json.loads(out)
    assert status == 0
    assert [result["path"] for result in results] == [str(file) for file in files]
    for result in results:
        assert {genre["genre"] for genre in result["genres"]} == set(TITLES)
        values = [genre["probability"] for genre in result["genres"]]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1, abs=1e-5)
        # the same tone, but for the coding
        assert values == pytest.approx([genre["probability"] for genre in results[0]["genres"]], abs=0.02)


def test_one_clip_is_the_middle_and_more_are_averaged(checkpoint, tmp_path, capsys):
    parts = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 12_000)) * [[1.0], [0.1], [0.01]]  # a clip each
    for name, wave in (("whole.wav", parts.ravel()), ("middle.wav", parts[1])):
        soundfile.write(tmp_path / name, wave, RATE, subtype="FLOAT")

    def probabilities(name, *options):
        out = predict(capsys, checkpoint, tmp_path / name, "--top", 4, "--json", *options)[1]
        return {genre["genre"]: genre["probability"] for genre in json.loads(out)[0]["genres"]}

    assert probabilities("whole.wav", "--clips", 1) == probabilities("middle.wav")
    assert probabilities("whole.wav", "--clips", 3) == probabilities("whole.wav") != probabilities("middle.wav")


def test_a_table_has_a_line_a_genre_and_folders_are_searched(checkpoint, tone, tmp_path, capsys):
    (tmp_path / "disc").mkdir()
    tone("disc/2.wav", RATE)
    tone("disc/1.wav", RATE)
    (tmp_path / "disc/notes.txt").write_text("no audio")
    status, out, _ = predict(capsys, checkpoint, tmp_path / "disc", "--top", 2)
    lines = out.splitlines()
    assert status == 0
    assert len(lines) == 4
    assert lines[0].startswith(str(tmp_path / "disc/1.wav"))
    assert lines[2].startswith(str(tmp_path / "disc/2.wav"))
    assert all(line.endswith(" %") and any(title in line for title in TITLES) for line in lines)


def test_a_folder_of_aiff_is_read_and_a_file_without_decoder_is_named(checkpoint, tone, tmp_path, capsys):
    tone("1.aiff", RATE)
    (tmp_path / "2.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    status, out, err = predict(capsys, checkpoint, tmp_path, "--json")
    assert status == 1
    assert ["error" in result for result in json.loads(out)] == [False, True]
    assert "2.m4a: cannot be decoded" in err


def test_a_folder_without_audio_is_an_error(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("no music")
    status, out, err = predict(capsys, "exp/any.pt", tmp_path)
    assert (status, out) == (1, "")
    assert err == f"mert-genre: {tmp_path}: no audio file in it. Give files, or a folder of music.\n"


def test_files_that_cannot_be_read_are_named_and_the_others_reported(checkpoint, tone, tmp_path, capsys):
    (tmp_path / "broken.mp3").write_bytes(b"no music")
    files = [tone("good.wav", RATE), tmp_path / "broken.mp3", tmp_path / "none.wav", tone("short.wav", RATE, 0.01)]
    status, out, err = predict(capsys, checkpoint, *files, "--json")
    results = json.loads(out)
    assert status == 1
    assert ["error" in result for result in results] == [False, True, True, True]
    for text in ("broken.mp3: cannot be decoded", "none.wav: no such file", "short.wav: found 0.010 s of audio"):
        assert text in err
    assert "cannot be read" in predict(capsys, checkpoint, *files)[1]


def test_clips_are_spans_of_the_file_at_the_models_rate(tone):
    path = tone("a.wav", 48_000, seconds=3.0)
    clips = read_clips(path, RATE, 24_000, most=3)
    assert [len(clip) for clip in clips] == [24_000] * 3
    whole = read_clips(path, RATE, 10 * RATE, most=3)
    assert [len(clip) for clip in whole] == [3 * RATE]
    middle = slice(1_000, 23_000)  # away from the edges, where the resampler's filter sees zeros
    for second, clip in enumerate(clips):
        np.testing.assert_allclose(clip[middle], whole[0][second * RATE :][:RATE][middle], atol=1e-3)


def test_a_model_goes_to_a_gpu_where_there_is_one(checkpoint, monkeypatch):
    moved = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.nn.Module, "cuda", lambda model: moved.append(model) or model)
    assert moved == [load_classifier(checkpoint).model]


def test_no_warning_about_foreign_code_is_shown(checkpoint, tone, capsys, recwarn):
    assert predict(capsys, checkpoint, tone("a.wav", RATE))[0] == 0
    assert [str(warning.message) for warning in recwarn if issubclass(warning.category, FutureWarning)] == []


def test_the_command_in_a_process_of_its_own_writes_only_its_result(checkpoint, tone):
    module = [sys.executable, "-m", "mert_fairseq.genre.cli"]
    predict = [*module, "predict", str(checkpoint), str(tone("a.wav", RATE)), "--json"]
    done = subprocess.run(predict, capture_output=True, text=True, check=True)
    others = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.strip() and "file/s" not in line]
    assert others == []
    assert len(json.loads(done.stdout)) == 1


def write_wrong_checkpoint(kind, path, checkpoint):
    if kind == "text":
        path.write_text("epoch 1, accuracy 0.5")
    elif kind == "cut":
        path.write_bytes(checkpoint.read_bytes()[:-1000])
    elif kind == "foreign":
        torch.save({"state_dict": {}, "epoch": 3}, path)
    elif kind == "another library's":
        torch.save({"model": {}, "cfg": "resnet50"}, path)
    elif kind == "pretraining":
        write_checkpoint(path)
    else:
        torch.save({**torch.load(checkpoint), "task_state": {}, "optimizer_history": []}, path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "damaged, not a fairseq checkpoint"),
        ("cut", "damaged, not a fairseq checkpoint"),
        ("foreign", "holds no 'model'"),
        ("another library's", "found a checkpoint of the task None, expected one that classifies genres"),
        ("pretraining", "found a checkpoint of the task mert_pretraining, expected one that classifies genres"),
        ("stripped", "lacks task_state and optimizer_history"),
    ],
)
def test_a_wrong_checkpoint_is_an_error_in_predict_and_report(kind, message, checkpoint, tone, tmp_path, capsys):
    path = tmp_path / "wrong.pt"
    write_wrong_checkpoint(kind, path, checkpoint)
    for command in (["predict", path, tone("a.wav", RATE)], ["report", path, "--out", tmp_path / "report"]):
        assert main([str(word) for word in command]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"mert-genre: {path}: {message}")
        assert "weights_only" not in error


def test_a_missing_checkpoint_ends_with_status_1_and_a_wrong_option_with_2(checkpoint, tmp_path, tone, capsys):
    assert predict(capsys, tmp_path / "none.pt", "a.wav")[0] == 1
    with pytest.raises(SystemExit, match="2"):
        predict(capsys, checkpoint, tone("a.wav", RATE), "--top", 0)
    assert "--top: found 0, expected a whole number above 0" in capsys.readouterr().err
