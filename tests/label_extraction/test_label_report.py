"""The teacher report: what it counts, and where it finds known tones."""

import importlib.util
import json

import numpy as np
import pytest
from tone_corpus import make_tone_corpus

from mert_fairseq.label_extraction.code_usage import label_usage
from mert_fairseq.label_extraction.report import KNOWN_TONES, expected_bin, peak_bins
from mert_fairseq.labels import LabelError
from mert_fairseq.teachers.cqt import CQTTeacher


@pytest.fixture
def command(repo_root):
    spec = importlib.util.spec_from_file_location("report_labels", repo_root / "preprocess/report_labels.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *words: module.main([str(word) for word in words])


def write_labels(folder, *lines):
    (folder / "train.km").write_text("".join(f"{line}\n" for line in lines))
    (folder / "dict.km.txt").write_text("0 5\n1 2\n2 1\n3 0\n")
    return folder


def test_usage_of_hand_counted_labels(tmp_path):
    usage = label_usage(write_labels(tmp_path, "0 0 0 0", "1 1 2 2"), "train", ["km"], 50.0)
    assert (usage.tracks, usage.hours) == (2, 8 / 50 / 3600)
    assert usage.counts[0].tolist() == [4, 2, 2, 0]
    row = usage.rows[0]
    assert (row["label"], row["codes"], row["used"]) == ("km", 4, 3)
    assert row["entropy_bits"] == 1.5  # shares of 1/2, 1/4, 1/4
    assert row["perplexity"] == pytest.approx(2**1.5, abs=0.01)
    assert row["mean_duration_ms"] == pytest.approx(8 / 3 * 20, abs=0.01)  # 3 stretches


def test_a_sample_of_tracks_is_spread_over_the_split(tmp_path):
    usage = label_usage(write_labels(tmp_path, "0", "1", "1", "1", "2"), "train", ["km"], 50.0, tracks=2)
    assert usage.counts[0].tolist() == [1, 0, 1, 0]


def test_a_code_outside_the_dictionary_is_an_error_that_says_where(tmp_path):
    with pytest.raises(LabelError, match=r"train\.km:2: found code 4 of km, expected one of the 4 codes in its"):
        label_usage(write_labels(tmp_path, "0", "4"), "train", ["km"], 50.0)


def test_codes_are_counted_by_their_symbols_without_fillers(tmp_path):
    write_labels(tmp_path, "0 1 4 4")
    (tmp_path / "dict.km.txt").write_text("4 1\n0 1\n1 1\nmadeupword0000 0\n")
    usage = label_usage(tmp_path, "train", ["km"], 50.0)
    assert usage.counts[0].tolist() == [1, 1, 2]
    assert (usage.rows[0]["codes"], usage.rows[0]["used"]) == (3, 3)
    (tmp_path / "train.km").write_text("0 3\n")
    with pytest.raises(LabelError, match="found code 3 of km"):
        label_usage(tmp_path, "train", ["km"], 50.0)


def test_known_tones_peak_in_their_bins_and_an_octave_is_48_bins():
    teacher = CQTTeacher()
    for notes in KNOWN_TONES.values():
        assert peak_bins(notes, teacher) == [expected_bin(note, teacher) for note in notes]
    assert expected_bin(69, teacher) == 180  # 440 Hz: 3 octaves and 9 semitones above C1
    assert np.diff(peak_bins([33, 45, 57, 69, 81, 93, 105], teacher)).tolist() == [48] * 6


def test_the_command_writes_a_page_with_its_pictures(tmp_path, command, capsys):
    data = make_tone_corpus(tmp_path / "data")
    assert command(data, "--out", tmp_path / "report", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert [row["label"] for row in figures["train"]] == ["rvq_0", "rvq_1"]
    page = (tmp_path / "report/index.html").read_text()
    for name in ("perplexity.png", "ranks.png", "durations.png", "cqt_0.png", "cqt_3.png"):
        assert name in page
        assert (tmp_path / "report" / name).stat().st_size > 5000
    assert "NO" not in page


def test_missing_labels_are_an_error(tmp_path, command, capsys):
    data = make_tone_corpus(tmp_path / "data")
    assert command(data, "--out", tmp_path / "report", "--labels", "chroma_200") == 1
    assert "dict.chroma_200.txt: no such dictionary" in capsys.readouterr().err
