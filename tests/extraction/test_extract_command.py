"""mert-extract: folders in, features, index and rejects out; killed, resumed, in batches, in every form."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import torch
from hubert_twin import save_twins
from music_files import cut, make_music
from tiny_checkpoint import write_checkpoint
from tiny_mert import save_tiny_mert

from mert_fairseq import load_mert
from mert_fairseq.extraction import extract_files
from mert_fairseq.extraction.cli import main

LONG = ("--window", "2", "--context", "0.2")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "mert.pt"
    save_tiny_mert(path)
    return path


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    make_music(folder / "album/one.mp3", 3.0, seed=1)
    make_music(folder / "album/two.ogg", 2.0, rate=48_000, seed=2)
    make_music(folder / "album/three.opus", 2.0, seed=3, channels=1)
    make_music(folder / "long.flac", 9.3, rate=22_050, seed=4)
    make_music(folder / "short.wav", 0.5, rate=24_000, seed=5)
    (folder / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


FILES = ["album/one.mp3", "album/three.opus", "album/two.ogg", "long.flac", "short.wav"]


def extract(*arguments):
    return main([str(argument) for argument in arguments])


def table(path):
    head, *rows = (line.split("\t") for line in path.read_text().splitlines())
    return [dict(zip(head, row, strict=True)) for row in rows]


def loaded(folder):
    return {name: np.load(folder / f"{name}.npy") for name in FILES}


@pytest.fixture(scope="module")
def frames(checkpoint, music, tmp_path_factory):
    out = tmp_path_factory.mktemp("frames")
    assert extract(checkpoint, music, "--out", out, *LONG) == 0
    return out


def test_every_file_has_the_features_that_load_mert_gives(checkpoint, music, frames):
    model = load_mert(checkpoint, "cpu")
    for name, found in loaded(frames).items():
        expected = model.features(music / name, window_seconds=2.0, context_seconds=0.2)
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_the_index_states_what_is_in_the_features(checkpoint, frames):
    rows = table(frames / "index.tsv")
    assert [row["file"] for row in rows] == FILES
    for row in rows:
        layers, count, width = np.load(frames / row["features"]).shape
        assert (row["layers"], row["rate"], row["digest"]) == ("0,1,2,3", "75", load_mert(checkpoint, "cpu").digest)
        assert (layers, count, width) == (4, int(row["frames"]), 16)
        assert abs(float(row["seconds"]) - count / 75) < 0.03
    assert table(frames / "rejects.tsv") == []


@pytest.mark.parametrize("options", [("--batch", "3", "--workers", "2"), ("--batch", "50", "--workers", "1")])
def test_batches_and_workers_change_nothing(options, checkpoint, music, frames, tmp_path):
    assert extract(checkpoint, music, "--out", tmp_path, *LONG, *options) == 0
    expected = loaded(frames)
    for name, found in loaded(tmp_path).items():
        np.testing.assert_allclose(found, expected[name], atol=1e-5)
    assert (tmp_path / "index.tsv").read_text() == (frames / "index.tsv").read_text()


def test_means_are_those_of_the_frames(checkpoint, music, frames, tmp_path):
    assert extract(checkpoint, music, "--out", tmp_path / "file", *LONG, "--mean", "file", "--layers", "2,0") == 0
    assert extract(checkpoint, music, "--out", tmp_path / "window", *LONG, "--mean", "0.6", "--layers", "3") == 0
    for name, every in loaded(frames).items():
        means = loaded(tmp_path / "file")[name]
        np.testing.assert_allclose(means, every[[2, 0]].mean(axis=1), atol=1e-5)
        expected = [every[3, start : start + 45].mean(axis=0) for start in range(0, every.shape[1], 45)]
        np.testing.assert_allclose(loaded(tmp_path / "window")[name], [expected], atol=1e-5)
    row = table(tmp_path / "file" / "index.tsv")[0]
    assert (row["frames"], row["rate"], row["layers"]) == ("1", "file", "2,0")
    row = table(tmp_path / "window" / "index.tsv")[3]
    assert (row["file"], row["frames"], float(row["rate"])) == ("long.flac", "16", pytest.approx(75 / 45, rel=1e-4))


@pytest.mark.parametrize(("form", "module"), [("safetensors", "safetensors"), ("hdf5", "h5py")])
def test_a_collection_holds_the_same_and_grows(form, module, checkpoint, music, frames, tmp_path):
    pytest.importorskip(module)
    album = tmp_path / "music"
    for name in FILES[:3]:
        (album / name).parent.mkdir(parents=True, exist_ok=True)
        (album / name).write_bytes((music / name).read_bytes())
    out = tmp_path / "out"
    expected = loaded(frames)
    for known in (FILES[:3], FILES):
        for name in known:
            if not (album / name).exists():
                (album / name).write_bytes((music / name).read_bytes())
        assert extract(checkpoint, album, "--out", out, *LONG, "--format", form) == 0
        found = read_collection(out, form)
        assert sorted(found) == known == [row["features"] for row in table(out / "index.tsv")]
        for name, values in found.items():
            np.testing.assert_array_equal(values, expected[name])
    assert not list(out.rglob("*.npy"))
    written = next(out.glob("features.*")).stat().st_mtime_ns
    assert extract(checkpoint, album, "--out", out, *LONG, "--format", form) == 0
    assert next(out.glob("features.*")).stat().st_mtime_ns == written


def read_collection(folder, form):
    if form == "safetensors":
        from safetensors.numpy import load_file

        return load_file(folder / "features.safetensors")
    import h5py

    with h5py.File(folder / "features.h5") as file:
        return {row["features"]: file[row["features"]][:] for row in table(folder / "index.tsv")}


def test_a_killed_run_continues_where_it_stopped(checkpoint, music, frames, tmp_path, repo_root):
    slow = (
        "import sys, time\n"
        "from mert_fairseq.extraction import extract_files\n"
        "read = extract_files.file_windows\n"
        "def slowly(path, *rest):\n"
        "    for window in read(path, *rest):\n"
        "        yield window\n"
        "        time.sleep(0.5)\n"
        "extract_files.file_windows = slowly\n"
        "from mert_fairseq.extraction.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    command = [str(checkpoint), str(music), "--out", str(tmp_path), *LONG, "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(repo_root)}
    process = subprocess.Popen([sys.executable, "-c", slow, *command], env=environment, stderr=subprocess.DEVNULL)
    journal = tmp_path / "extract.jsonl"
    deadline = time.monotonic() + 60
    while not (partial := list(tmp_path.glob(".long.flac.npy.partial"))) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert partial
    assert len(journal.read_text().splitlines()) == 4  # the header and three files
    kept = (tmp_path / "album/one.mp3.npy").stat().st_mtime_ns
    with journal.open("a") as file:
        file.write('{"frames": 37, "sec')  # as a power cut may leave it
    assert extract(*command) == 0
    assert (tmp_path / "album/one.mp3.npy").stat().st_mtime_ns == kept
    expected = loaded(frames)
    for name, found in loaded(tmp_path).items():
        np.testing.assert_allclose(found, expected[name], atol=1e-5)
    assert (tmp_path / "index.tsv").read_text() == (frames / "index.tsv").read_text()
    assert not list(tmp_path.rglob("*.partial"))


def test_a_changed_file_is_extracted_again(checkpoint, tmp_path, capsys):
    make_music(tmp_path / "music/a.wav", 0.5)
    make_music(tmp_path / "music/b.wav", 0.5)
    for changed in (2, 1, 0):
        assert extract(checkpoint, tmp_path / "music", "--out", tmp_path / "out", "--json") == 0
        summary = json.loads(capsys.readouterr().out)
        assert (summary["files"], summary["of_an_earlier_run"]) == (2, 2 - changed)
        if changed == 2:
            make_music(tmp_path / "music/a.wav", 0.7, seed=9)
    assert np.load(tmp_path / "out/a.wav.npy").shape == (4, 52, 16)  # (16800 - 400) // 320 + 1


def test_files_without_features_are_listed_with_their_reason(checkpoint, tmp_path, capsys):
    folder = tmp_path / "music"
    make_music(folder / "good.wav", 0.5)
    make_music(folder / "short.wav", 0.01)
    for name in ("cut.flac", "cut.wav", "cut.ogg"):
        cut(make_music(folder / name, 5.0))
    (folder / "empty.mp3").touch()
    (folder / "text.wav").write_text("no audio, but long enough to be read as a header of some kind " * 9)
    (folder / "video.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    soundfile.write(folder / "nan.wav", np.full(9000, np.nan), 24_000, subtype="FLOAT")
    (folder / "gone.mp3").symlink_to(folder / "nothing")
    assert extract(checkpoint, folder, "--out", tmp_path / "out", *LONG) == 1
    found = {row["path"]: row["reason"] for row in table(tmp_path / "out/rejects.tsv")}
    assert found == {
        "short.wav": "too_short", "cut.flac": "truncated", "cut.wav": "truncated", "cut.ogg": "truncated",
        "empty.mp3": "empty", "text.wav": "undecodable", "video.m4a": "no_decoder", "nan.wav": "not_finite",
        "gone.mp3": "broken_link",
    }  # fmt: skip
    assert [row["file"] for row in table(tmp_path / "out/index.tsv")] == ["good.wav"]
    assert "short.wav: too_short: 0.0100 s, but one frame of the model sees 0.0167 s" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_a_file_that_kills_its_decoder_costs_itself_only(checkpoint, tmp_path, monkeypatch):
    for name in ("a.wav", "bomb.wav", "c.wav"):
        make_music(tmp_path / "music" / name, 5.0)
    read = extract_files.file_windows

    def deadly(path, *rest):
        for window in read(path, *rest):
            yield window
            if path.name == "bomb.wav":
                os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(extract_files, "file_windows", deadly)
    assert extract(checkpoint, tmp_path / "music", "--out", tmp_path / "out", *LONG, "--batch", "4") == 1
    (reject,) = table(tmp_path / "out/rejects.tsv")
    assert (reject["path"], reject["reason"]) == ("bomb.wav", "decoder_died")
    assert [row["file"] for row in table(tmp_path / "out/index.tsv")] == ["a.wav", "c.wav"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.npy")) == ["a.wav.npy", "c.wav.npy"]


def test_files_and_folders_are_named_from_their_common_parent(checkpoint, music, tmp_path):
    assert extract(checkpoint, music / "album", music / "short.wav", "--out", tmp_path, "--layers", "1") == 0
    assert [row["file"] for row in table(tmp_path / "index.tsv")] == [*FILES[:3], "short.wav"]


@pytest.mark.parametrize("form", ["npy", "safetensors"])
def test_a_second_command_adds_its_files(form, checkpoint, music, frames, tmp_path):
    for name in ("one.mp3", "two.ogg"):
        assert extract(checkpoint, music / "album" / name, "--out", tmp_path, *LONG, "--format", form) == 0
    assert [row["file"] for row in table(tmp_path / "index.tsv")] == ["one.mp3", "two.ogg"]
    if form == "safetensors":
        assert sorted(read_collection(tmp_path, form)) == ["one.mp3", "two.ogg"]


def test_a_hugging_face_folder_gives_the_features_of_its_checkpoint(music, tmp_path):
    save_twins(tmp_path)
    for model in ("mert.pt", "hubert"):
        assert extract(tmp_path / model, music / "short.wav", "--out", tmp_path / f"{model}.out") == 0
    found, expected = (np.load(tmp_path / f"{model}.out/short.wav.npy") for model in ("hubert", "mert.pt"))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_bfloat16_states_its_error(checkpoint, music, frames, tmp_path, capsys):
    assert extract(checkpoint, music, "--out", tmp_path, *LONG, "--bf16", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert 1e-4 < summary["bf16_error"] < 0.05
    exact, found = loaded(frames)["short.wav"], loaded(tmp_path)["short.wav"]
    assert 1e-4 < np.linalg.norm(found - exact) / np.linalg.norm(exact) < 0.05
    assert extract(checkpoint, music, "--out", tmp_path / "text", "--bf16", "--layers", "2") == 0
    assert "% on the first window (relative norm, layer 2, the largest)" in capsys.readouterr().out


def test_wrong_models_layers_and_audio_are_reported(checkpoint, music, tmp_path, capsys):
    save_twins(tmp_path)
    config = tmp_path / "hubert/config.json"
    config.write_text(config.read_text().replace('"hubert"', '"bert"'))
    (tmp_path / "cut.pt").write_bytes(checkpoint.read_bytes()[:-1000])
    state = torch.load(write_checkpoint(tmp_path / "genre.pt"))
    state["cfg"]["model"]["_name"] = "mert_genre"
    torch.save(state, tmp_path / "genre.pt")
    (tmp_path / "silent").mkdir()
    (tmp_path / "silent/notes.txt").write_text("no audio")
    out = ("--out", tmp_path / "out")
    for arguments, message in (
        ((checkpoint, music, *out, "--layers", "1,4"), "found layer 4, expected 0 to 3"),
        ((tmp_path / "cut.pt", music, *out), "cut.pt: damaged, not a fairseq checkpoint"),
        ((tmp_path / "genre.pt", music, *out), "is a checkpoint of the model 'mert_genre', expected 'mert'"),
        ((tmp_path / "hubert", music, *out), "found a model of type 'bert', expected one of hubert, mert_model"),
        ((checkpoint, tmp_path / "silent", *out), "silent: no audio file in it. Give files, or a folder of music."),
        ((checkpoint, tmp_path / "none.mp3", *out), "none.mp3: no such file or folder. Correct its name."),
        ((checkpoint, music, *out, "--window", "2", "--context", "1"), "expected a window longer than twice the con"),
        ((checkpoint, music, *out, "--device", "abacus"), "device abacus: unknown. Give cpu, cuda or cuda:1."),
    ):
        assert extract(*arguments) == 1
        error = capsys.readouterr().err
        assert message in error
        assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_a_folder_of_other_features_is_not_mixed(checkpoint, music, frames, capsys):
    assert extract(checkpoint, music, "--out", frames, *LONG, "--layers", "1") == 1
    assert "holds features made with layers [0, 1, 2, 3] instead of [1]. Give another --out" in capsys.readouterr().err


def test_hdf5_without_h5py_says_what_to_install(checkpoint, music, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert extract(checkpoint, music, "--out", tmp_path / "out", "--format", "hdf5") == 1
    assert "--format hdf5 needs h5py. Install it: pip install 'mert_fairseq[hdf5]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--layers", "1,a", "found 1,a, expected numbers with commas, such as 7 or 0,6,12"),
        ("--mean", "song", "found song, expected a number above 0"),
        ("--batch", "0", "found 0, expected a whole number above 0"),
    ],
)
def test_wrong_options_end_with_status_2(option, value, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        extract("mert.pt", "music", "--out", "out", option, value)
    assert message in capsys.readouterr().err
