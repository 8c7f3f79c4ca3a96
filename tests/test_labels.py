"""The three forms of label files hold the same codes, and errors name the place."""

import logging
import os
import pickle
import tempfile
import weakref
from pathlib import Path

import numpy as np
import pytest
from fairseq.data import Dictionary
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mert_fairseq.labels import (
    JoinedLabels,
    LabelDictionary,
    LabelError,
    MemoryLabels,
    PackedLabels,
    PackedWriter,
    PaddedLabels,
    TextLabels,
    TextWriter,
    open_labels,
    write_dictionary,
    write_padded,
)
from mert_fairseq.labels import text as text_module

COLUMNS = ("rvq_0", "rvq_1")
TRACKS = st.lists(
    st.integers(0, 30).flatmap(lambda frames: arrays(np.int64, (frames, 2), elements=st.integers(0, 65_535))),
    max_size=8,
)


def _write(folder: Path, form: str, tracks: list[np.ndarray]) -> None:
    if form == "padded":
        for place, column in enumerate(COLUMNS):
            write_padded(folder / f"train.{column}.npy", [codes[:, place] for codes in tracks])
        return
    with (
        TextWriter(folder, "train", COLUMNS)
        if form == "text"
        else PackedWriter(folder / "train.rvq", COLUMNS, 75.0) as out
    ):
        for codes in tracks:
            out.append(codes)


@pytest.mark.parametrize("form", ["text", "padded", "packed"])
@settings(max_examples=40)
@given(tracks=TRACKS, data=st.data())
def test_what_is_written_is_read(form, tracks, data):
    with tempfile.TemporaryDirectory() as name:
        _write(Path(name), form, tracks)
        labels = open_labels(name, "train", COLUMNS, padded=form == "padded")
        for reader in (labels, MemoryLabels(labels), pickle.loads(pickle.dumps(labels))):
            assert reader.columns == COLUMNS
            assert reader.frames.tolist() == [len(codes) for codes in tracks]
            for track, codes in enumerate(tracks):
                np.testing.assert_array_equal(reader.codes(track), codes)
                first, last = sorted(data.draw(st.tuples(st.integers(0, len(codes)), st.integers(0, len(codes)))))
                np.testing.assert_array_equal(reader.codes(track, first, last), codes[first:last])


@settings(max_examples=40)
@given(tracks=TRACKS)
def test_text_survives_packing_byte_for_byte(tracks):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, "text", tracks)
        written = [(folder / f"train.{column}").read_bytes() for column in COLUMNS]
        labels = open_labels(folder, "train", COLUMNS)
        _write(folder, "packed", [labels.codes(track) for track in range(len(labels))])
        packed = open_labels(folder, "train", COLUMNS)
        assert isinstance(packed.parts[0], PackedLabels)
        _write(folder, "text", [packed.codes(track) for track in range(len(packed))])
        assert [(folder / f"train.{column}").read_bytes() for column in COLUMNS] == written


def test_the_text_form_is_the_published_one(tmp_path):
    _write(tmp_path, "text", [np.array([[1, 2], [3, 4], [50, 60]]), np.array([[7, 8]])])
    assert (tmp_path / "train.rvq_0").read_bytes() == b"1 3 50\n7\n"
    assert (tmp_path / "train.rvq_1").read_bytes() == b"2 4 60\n8\n"


@pytest.mark.parametrize("text", ["1 2 3\n4 5\n", "1 2 3\n4 5", " 1  2\t3 \r\n4 5 \n"])
@pytest.mark.parametrize("block_bytes", [1, 3, 1000])
def test_lines_are_found_with_any_blanks_and_block_size(tmp_path, monkeypatch, text, block_bytes):
    monkeypatch.setattr(text_module, "BLOCK_BYTES", block_bytes)
    (tmp_path / "train.km").write_bytes(text.encode())
    labels = TextLabels(tmp_path / "train.km", "km")
    assert labels.frames.tolist() == [3, 2]
    assert labels.codes(0, 1, 3).tolist() == [[2], [3]]
    assert labels.codes(1).tolist() == [[4], [5]]


def test_an_empty_line_is_a_track_without_codes(tmp_path):
    (tmp_path / "train.km").write_text("1\n\n2 3\n")
    assert TextLabels(tmp_path / "train.km", "km").frames.tolist() == [1, 0, 2]


@pytest.mark.parametrize("wrong", ["x", "2.5", "-1"])
def test_an_invalid_code_is_named_with_its_line(tmp_path, wrong):
    (tmp_path / "train.km").write_text(f"1 2 3\n1 {wrong} 3\n")
    with pytest.raises(LabelError, match=rf"train\.km:2: found '{wrong}', expected non-negative integers"):
        TextLabels(tmp_path / "train.km", "km").codes(1)


def test_packed_files_are_preferred_to_text_and_the_log_says_so(tmp_path, caplog):
    _write(tmp_path, "text", [np.zeros((3, 2), dtype=int)])
    _write(tmp_path, "packed", [np.ones((3, 2), dtype=int)])
    (tmp_path / "train.km").write_text("5 5\n")
    with caplog.at_level(logging.INFO):
        labels = open_labels(tmp_path, "train", ["rvq_1", "rvq_0", "km"])
    assert labels.codes(0).tolist() == [[1, 1, 5], [1, 1, 5]]  # the shortest column sets the length
    assert "packed, rvq_1, rvq_0 in" in caplog.text
    assert "text, km in" in caplog.text


@pytest.mark.parametrize("newer", [False, True])
def test_text_that_is_newer_than_its_packed_form_is_a_warning(tmp_path, caplog, newer):
    _write(tmp_path, "packed", [np.zeros((3, 2), dtype=int)])
    (tmp_path / "train.rvq_1").write_text("1 1 1\n")
    packed_at = (tmp_path / "train.rvq.codes.json").stat().st_mtime
    os.utime(tmp_path / "train.rvq_1", (packed_at, packed_at + (10 if newer else -10)))
    open_labels(tmp_path, "train", COLUMNS)
    assert ("train.rvq_1 is newer than" in caplog.text) == newer


def test_columns_have_the_requested_order(tmp_path):
    _write(tmp_path, "packed", [np.array([[1, 2]])])
    assert open_labels(tmp_path, "train", ["rvq_1", "rvq_0"]).codes(0).tolist() == [[2, 1]]
    assert open_labels(tmp_path, "train", ["rvq_1"]).codes(0).tolist() == [[2]]


def test_a_label_in_two_packed_files_is_an_error(tmp_path):
    for name in ("rvq", "again"):
        with PackedWriter(tmp_path / f"train.{name}", ["rvq_0"]) as out:
            out.append(np.array([[1]]))
    with pytest.raises(LabelError, match=r"train\.rvq\.codes\.json: holds rvq_0, and so does .*train\.again"):
        open_labels(tmp_path, "train", ["rvq_0"])


def test_an_npy_file_without_suffix_is_recognised(tmp_path):
    write_padded(tmp_path / "x.npy", [np.array([1, 2]), np.array([3])])
    (tmp_path / "x.npy").rename(tmp_path / "train.rvq_0")
    assert open_labels(tmp_path, "train", ["rvq_0"], padded=True).codes(0).tolist() == [[1], [2]]


def test_codes_beyond_two_bytes_are_an_error_in_memory(tmp_path):
    (tmp_path / "train.km").write_text("1 2\n3 70000\n")
    with pytest.raises(LabelError, match=r"train.km:2: found code 70000, expected 65535 at most.*store_labels=false"):
        MemoryLabels(TextLabels(tmp_path / "train.km", "km"))


def test_writing_padded_labels_holds_one_track_at_a_time(tmp_path):
    class Tracks:
        held = most = 0

        def __iter__(self):
            for frames in (3, 1, 2):
                codes = np.arange(frames)
                weakref.finalize(codes, self.drop)
                self.held += 1
                self.most = max(self.most, self.held)
                yield codes

        def drop(self):
            self.held -= 1

    tracks = Tracks()
    write_padded(tmp_path / "x.npy", tracks)
    assert np.load(tmp_path / "x.npy").tolist() == [[0, 1, 2], [0, -1, -1], [0, 1, -1]]
    assert tracks.most <= 2
    with pytest.raises(TypeError, match="found an iterator of tracks, expected a list"):
        write_padded(tmp_path / "x.npy", iter([np.zeros(3, int)]))


def test_minus_one_between_codes_is_an_error(tmp_path):
    np.save(tmp_path / "train.rvq_0.npy", np.array([[1, -1, 2, 3, 4, 5, 6, 7]]))
    labels = PaddedLabels(tmp_path / "train.rvq_0.npy", "rvq_0")
    with pytest.raises(LabelError, match=r"train\.rvq_0\.npy: row 0: found -1 before the last code"):
        labels.codes(0)


def test_packing_that_fails_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="track 1 holds codes from 0 to 70000, expected 0 to 65535"):
        _write(tmp_path, "packed", [np.zeros((2, 2), dtype=int), np.array([[0, 70_000]])])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=r"found track 0 as int64 of shape \(2, 3\).*\(frames, 2\)"):
        _write(tmp_path, "packed", [np.zeros((2, 3), dtype=int)])


def test_a_truncated_packed_file_is_an_error(tmp_path):
    _write(tmp_path, "packed", [np.zeros((100, 2), dtype=int)])
    codes = tmp_path / "train.rvq.codes.npy"
    codes.write_bytes(codes.read_bytes()[:-10])
    with pytest.raises(LabelError, match=r"train\.rvq\.codes\.npy: .*expected a complete \.npy file"):
        open_labels(tmp_path, "train", COLUMNS)
    np.save(codes, np.zeros((99, 2), dtype=np.uint16))
    with pytest.raises(LabelError, match=r"shape \(99, 2\), expected uint16 of shape \(100, 2\)"):
        open_labels(tmp_path, "train", COLUMNS)


def test_packed_labels_record_largest_codes_rate_and_settings(tmp_path):
    with PackedWriter(tmp_path / "train.rvq", COLUMNS, 75.0, {"teacher": "x"}) as out:
        out.append(np.array([[1, 20], [9, 3]]))
    labels = PackedLabels(tmp_path / "train.rvq", ["rvq_1", "rvq_0"])
    assert (labels.max_codes, labels.label_rate_hz, labels.settings) == ([20, 9], 75.0, {"teacher": "x"})


def test_labels_of_different_numbers_of_tracks_do_not_join(tmp_path):
    (tmp_path / "train.a").write_text("1\n2\n")
    (tmp_path / "train.b").write_text("1\n")
    with pytest.raises(LabelError, match=r"train\.a and .*train\.b: found 2 and 1 tracks"):
        JoinedLabels([TextLabels(tmp_path / f"train.{name}", name) for name in "ab"])


@pytest.mark.parametrize("padded", [False, True])
def test_a_missing_label_file_is_named(tmp_path, padded):
    with pytest.raises(LabelError, match=r"train\.rvq_0(\.npy)?: no such label file"):
        open_labels(tmp_path, "train", ["rvq_0"], padded=padded)


def test_codes_beyond_a_track_are_an_error(tmp_path):
    _write(tmp_path, "text", [np.zeros((3, 2), dtype=int)])
    with pytest.raises(LabelError, match=r"train\.rvq_0:1: found 3 codes, expected codes 2 to 4"):
        open_labels(tmp_path, "train", COLUMNS).codes(0, 2, 4)


@pytest.mark.parametrize("lines", ["0 5\n1 3\n2 0\n", "2 9\n0 5\n1 1\nmadeupword0000 0\n"])
def test_classes_are_those_of_fairseqs_dictionary(tmp_path, lines):
    (tmp_path / "dict.rvq_0.txt").write_text(lines)
    ours, fairseqs = (
        LabelDictionary.read(tmp_path / "dict.rvq_0.txt"),
        Dictionary.load(str(tmp_path / "dict.rvq_0.txt")),
    )
    assert ours.classes == len(fairseqs)
    assert ours.lookup().tolist() == [fairseqs.index(str(code)) for code in range(3)]


def test_a_written_dictionary_has_a_class_for_codes_that_never_occur(tmp_path):
    write_dictionary(tmp_path / "dict.rvq_0.txt", [5, 0, 3])
    assert (tmp_path / "dict.rvq_0.txt").read_text() == "0 5\n1 0\n2 3\n"
    assert LabelDictionary.read(tmp_path / "dict.rvq_0.txt").lookup().tolist() == [4, 5, 6]


@pytest.mark.parametrize(("lines", "message"), [
    ("0 1\n0 2\n", r":2: found '0 2', expected a code, a space and a count, each code once"),
    ("0 1\nla 2\n", r":2: found 'la 2'"), ("0\n", r":1: found '0'"), ("", "found no symbol"),
])  # fmt: skip
def test_a_wrong_dictionary_is_named_with_its_line(tmp_path, lines, message):
    (tmp_path / "dict.rvq_0.txt").write_text(lines)
    with pytest.raises(LabelError, match=r"dict\.rvq_0\.txt" + ("" if message.startswith(":") else ": ") + message):
        LabelDictionary.read(tmp_path / "dict.rvq_0.txt")


def test_a_missing_dictionary_is_named(tmp_path):
    with pytest.raises(LabelError, match=r"dict\.rvq_0\.txt: no such dictionary.*task\.label_dir"):
        LabelDictionary.read(tmp_path / "dict.rvq_0.txt")
