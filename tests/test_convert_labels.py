"""One command converts labels from each form to each other form, without loss."""

import importlib.util

import numpy as np
import pytest
from numbered_corpus import COLUMNS, codes_of, write_corpus

from mert_fairseq.labels import PackedWriter, TextWriter, open_labels
from mert_fairseq.labels.label_folder import label_names
from mert_fairseq.labels.packed_index import family_name

LENGTHS = [48_000, 32_000, 640]


@pytest.fixture
def command(repo_root):
    spec = importlib.util.spec_from_file_location("convert_labels", repo_root / "preprocess/convert_labels.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *words: module.main([str(word) for word in words])


def test_text_to_packed_to_padded_to_text_gives_the_same_bytes(tmp_path, command, capsys):
    source = write_corpus(tmp_path / "source", LENGTHS)
    steps = [("packed", "auto"), ("padded", "auto"), ("text", "padded")]
    folders = [source, *(tmp_path / form for form, _ in steps)]
    for (form, reads), before, after in zip(steps, folders, folders[1:], strict=False):
        options = ["--from", reads, "--out-dir", after, "--splits", "train", "--label-rate", 75, "--verify"]
        assert command(before, "--to", form, *options) == 0, capsys.readouterr().err
    for name in [*(f"train.{column}" for column in COLUMNS), *(f"dict.{column}.txt" for column in COLUMNS)]:
        assert (folders[-1] / name).read_bytes() == (source / name).read_bytes()
    assert "3 labels of 3 tracks, 252 frames" in capsys.readouterr().out


def test_training_prefers_the_packed_file_to_text(tmp_path, command):
    folder = write_corpus(tmp_path, LENGTHS)
    assert command(folder, "--to", "packed", "--splits", "train", "--label-rate", 75) == 0
    labels = open_labels(folder, "train", COLUMNS)
    assert labels.source == f"{folder}/train.rvq.codes.npy"
    assert labels.parts[0].label_rate_hz == 75.0
    np.testing.assert_array_equal(labels.codes(1, 5, 9), codes_of(1, 100)[5:9])


def test_a_file_is_not_converted_onto_itself(tmp_path, command, capsys):
    folder = write_corpus(tmp_path, LENGTHS)
    before = (folder / "train.rvq_0").read_bytes()
    assert command(folder, "--to", "text", "--splits", "train") == 1
    assert (
        "train.rvq_0: is both the file to read and the file to write. Write to another folder"
        in capsys.readouterr().err
    )
    assert (folder / "train.rvq_0").read_bytes() == before


def test_a_dictionary_of_older_labels_is_replaced(tmp_path, command):
    folder = write_corpus(tmp_path / "data", LENGTHS)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/dict.rvq_0.txt").write_text("0 1\n")
    assert command(folder, "--to", "packed", "--splits", "train", "--out-dir", tmp_path / "out") == 0
    for name in ("dict.rvq_0.txt", "dict.rvq_1.txt"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()


def test_labels_of_different_length_are_an_error(tmp_path, command, capsys):
    folder = write_corpus(tmp_path, LENGTHS)
    with TextWriter(folder, "train", ["km"]) as out:
        for samples in LENGTHS:
            out.append(np.zeros((samples // 320 - 1, 1), dtype=int))
    assert command(folder, "--to", "packed", "--splits", "train", "--labels", "rvq_0", "km") == 1
    assert "train.rvq_0:1: found 150 codes, expected 149" in capsys.readouterr().err


def test_verifying_reads_the_written_files(tmp_path, command, capsys, monkeypatch):
    folder = write_corpus(tmp_path, LENGTHS, packed=True)
    append = TextWriter.append
    monkeypatch.setattr(TextWriter, "append", lambda self, codes: append(self, codes % 49))
    assert command(folder, "--to", "text", "--splits", "train", "--verify") == 1
    assert "the labels of train differ from those read" in capsys.readouterr().err


def test_a_missing_split_is_named(tmp_path, command, capsys):
    assert command(write_corpus(tmp_path, LENGTHS), "--to", "packed", "--splits", "test") == 1
    assert "test.rvq_0: no such label file" in capsys.readouterr().err


def test_a_folder_without_dictionaries_asks_for_names(tmp_path, command, capsys):
    assert command(tmp_path, "--to", "packed") == 1
    assert "Name the labels (--labels)" in capsys.readouterr().err


def test_names_are_sorted_by_number_and_share_a_family(tmp_path):
    for number in (10, 2, 0):
        (tmp_path / f"dict.rvq_{number}.txt").touch()
    assert label_names(tmp_path) == ["rvq_0", "rvq_2", "rvq_10"]
    assert family_name(["rvq_0", "rvq_10"]) == "rvq"
    assert family_name(["km500"]) == "km500"
    assert family_name(["logmel_300"]) == "logmel_300"
    assert family_name(["rvq_0", "chroma_200", "rvq_1", "km500"]) == "rvq+chroma_200+km500"


def test_two_sizes_of_one_feature_are_packed_apart(tmp_path, command):
    for classes in (8, 4):
        folder = write_corpus(tmp_path, LENGTHS, columns=[f"logmel_{classes}"])
        words = ["--to", "packed", "--splits", "train", "--labels", f"logmel_{classes}", "--label-rate", 75]
        assert command(folder, *words) == 0
        (folder / f"train.logmel_{classes}").unlink()
    labels = open_labels(folder, "train", ["logmel_4", "logmel_8"])
    np.testing.assert_array_equal(labels.codes(1), np.repeat(codes_of(1, 100, 1), 2, axis=1))


def test_a_packed_file_that_holds_other_labels_is_not_replaced(tmp_path, command, capsys):
    source = write_corpus(tmp_path / "source", LENGTHS)
    target = write_corpus(tmp_path / "target", LENGTHS, packed=True)
    before = (target / "train.rvq.codes.npy").read_bytes()
    for some in (["rvq_0"], ["rvq_0", "rvq_1"]):
        assert command(source, "--to", "packed", "--splits", "train", "--labels", *some, "--out-dir", target) == 1
        assert "train.rvq.codes.npy: also holds" in (message := capsys.readouterr().err)
        assert f"--to text --splits train --labels {'rvq_1 ' if len(some) == 1 else ''}rvq_2), remove" in message
    assert (target / "train.rvq.codes.npy").read_bytes() == before


def test_packed_labels_of_an_older_file_name_are_replaced(tmp_path, command):
    folder = write_corpus(tmp_path, LENGTHS, columns=["logmel_8"])
    with PackedWriter(folder / "train.logmel", ["logmel_8"], 75.0) as old:
        for samples in LENGTHS:
            old.append(np.ones((samples // 320, 1), dtype=int))
    assert command(folder, "--to", "packed", "--splits", "train", "--verify") == 0
    assert open_labels(folder, "train", ["logmel_8"]).source == f"{folder}/train.logmel_8.codes.npy"
