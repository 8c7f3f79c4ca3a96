"""Wrong lists, labels, clips and models: each ends in one line that says where, what and how to mend it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from probe_doubles import BandSource
from tiny_mert import save_tiny_mert

from mert_fairseq.probing import verbs
from mert_fairseq.probing.cli import main
from mert_fairseq.probing.tasks import find_task


@pytest.fixture
def data(tree, tmp_path):
    shutil.copytree(tree("key"), tmp_path / "key")
    shutil.copytree(tree("dance"), tmp_path / "dance")
    return tmp_path


def change(folder, change_row):
    path = folder / "manifest.jsonl"
    rows = [change_row(json.loads(line)) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def error(capsys, task, folder, *options, model="mfcc"):
    """The one line that a run of ``mert-probe`` prints to standard error."""
    call = [task, "--model", str(model), "--data", str(folder), "--out", str(folder.parent / "out"), "--quiet"]
    assert main([*call, "--protocol", "quick", "--max-epochs", "2", "--device", "cpu", *options]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def lists_of(data: Path, text: str) -> Path:
    """A folder of split lists, all with the same text."""
    lists = data / "lists"
    lists.mkdir()
    for split in ("train", "valid", "test"):
        (lists / f"{split}.txt").write_text(text)
    return lists


def test_a_split_list_of_another_data_set(data, capsys):
    lists = lists_of(data, "blues/blues.00000.wav\n")
    found = error(capsys, "rendered-dance", data / "dance", "--splits", str(lists))
    assert "train.txt: names 1 clips that" in found
    assert "the first is 'blues/blues.00000.wav'. Expected ids such as 'clip_0.wav', one per line" in found


def test_a_split_list_with_a_clip_twice(data, capsys):
    lists = lists_of(data, "clip_0.wav\n")
    found = error(capsys, "rendered-dance", data / "dance", "--splits", str(lists))
    assert "found clip clip_0.wav 3 times (and 0 more), expected each once, in one split" in found


def test_missing_clips(data, capsys):
    for number in (3, 4):
        (data / f"dance/clip_{number}.wav").unlink()
    found = error(capsys, "rendered-dance", data / "dance")
    assert "2 of 18 audio files are missing, the first is clip_3.wav. mert-probe check lists them all" in found


def test_a_key_that_nobody_knows(data, capsys):
    change(data / "key", lambda row: row | ({"key": "H major"} if row["path"] == "clip_8.wav" else {}))
    found = error(capsys, "rendered-key", data / "key")
    assert "manifest.jsonl: found the label 'H major', expected one of C major, Db major" in found


def test_a_chord_that_nobody_knows(data, capsys):
    change(data / "key", lambda row: row | ({"chords": [[0, 1, "C sus4"]]} if row["path"] == "clip_8.wav" else {}))
    found = error(capsys, "rendered-chords", data / "key")
    assert "clip_8.wav: found the chord 'C sus4', expected one of C major" in found


def test_one_class_only(data, capsys):
    change(data / "dance", lambda row: row | {"dance": "jig"})
    found = error(capsys, "rendered-dance", data / "dance")
    assert "the training split has only the class 'jig', expected at least 2 classes. Check the labels" in found
    assert main(["check", "rendered-dance", "--data", str(data / "dance")]) == 1
    assert "error: the training split has only the class 'jig'" in capsys.readouterr().out


def test_beats_without_any_beat(data, capsys):
    change(data / "key", lambda row: row | {"beats": [], "downbeats": []})
    assert "the training split has no beats. Check the annotations" in error(capsys, "rendered-beats", data / "key")


def test_a_model_whose_features_are_nan(data, capsys, tmp_path):
    path = tmp_path / "nan.pt"
    save_tiny_mert(path, encoder_layerdrop=0.0)
    state = torch.load(path, weights_only=False)
    name = next(name for name in state["model"] if name.endswith("fc1.weight"))
    state["model"][name].fill_(torch.nan)
    torch.save(state, path)
    found = error(capsys, "rendered-dance", data / "dance", model=path)
    assert "clip_0.wav: " in found
    assert "returned NaN or infinite features. The model is damaged or was trained at another scale" in found


def test_a_recording_that_is_not_finite(data, capsys):
    import numpy as np
    import soundfile

    soundfile.write(data / "dance/clip_2.wav", np.full(30_000, np.nan, np.float32), 24_000, subtype="FLOAT")
    found = error(capsys, "rendered-dance", data / "dance")
    assert "clip_2.wav" in found
    assert "found NaN or infinity at sample 0, expected finite samples" in found


class SlowSource(BandSource):
    """A model at 16 kHz with 50 frames a second, such as HuBERT for speech."""

    name, digest = "slow", "slow-1"
    sample_rate, rate_hz = 16_000, 50.0


def test_a_model_of_another_rate_is_probed_at_its_own_rate_but_cannot_separate(data, tree, capsys, monkeypatch):
    monkeypatch.setattr(verbs, "load_source", lambda model, device: SlowSource())
    call = ["rendered-beats", "--model", "slow", "--data", str(data / "key"), "--out", str(data / "out"), "--json"]
    assert main([*call, "--protocol", "quick", "--max-epochs", "2", "--quiet", "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["model"] == "slow"
    found = error(capsys, "musdb18", tree(find_task("musdb18").folder), model="slow")
    assert "found 16000 Hz and 50 frames per second, expected 24000 Hz and a hop of 320 samples" in found


def test_errors_are_json_where_json_is_wanted(data, capsys):
    (data / "dance/manifest.jsonl").write_text("{}\n")
    call = ["rendered-dance", "--model", "mfcc", "--data", str(data / "dance"), "--out", str(data / "out"), "--json"]
    assert main(call) == 1
    assert "manifest.jsonl:1: cannot be read" in json.loads(capsys.readouterr().err)["error"]
