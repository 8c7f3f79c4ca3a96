"""The figures and tables of a report show the hand-computed scores of three asymmetrically confused genres."""

import csv
import json

import numpy as np
import pytest
from figure_values import legend_of, lines_of, ticks_of

from mert_fairseq.genre.epoch_history import EpochHistory
from mert_fairseq.genre.metrics import Predictions
from mert_fairseq.genre.report_page import Section, write_report

NAMES = ["Folk", "Jazz", "Rock"]
TARGETS = [0, 0, 1, 2, 2, 2]
PREDICTED = [0, 1, 2, 2, 2, 0]
PREDICTIONS = Predictions(list(range(10, 16)), 0.1 + 0.7 * np.eye(3)[PREDICTED], np.array(TARGETS))
EPOCHS = [
    {"epoch": 1, "updates": 10, "train_loss": 2.0, "train_accuracy": 0.25, "valid_loss": 1.5, "valid_accuracy": 0.75},
    {"epoch": 2, "updates": 20, "train_loss": 1.0, "train_accuracy": 0.5, "valid_loss": 1.25, "valid_accuracy": 0.625},
]


@pytest.fixture
def page(tmp_path, drawn):
    """The report's HTML, in a folder that holds the rest."""
    section = Section("Baselines", ["model", "test"], [["kNN", "1 %"]], "Nothing published.")
    write_report(
        tmp_path,
        PREDICTIONS,
        NAMES,
        title="Test",
        facts={"data": "a < b"},
        history=EpochHistory(EPOCHS),
        sections=[section],
    )
    return (tmp_path / "index.html").read_text()


def row(*cells):
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def test_the_confusion_matrix_has_a_row_a_genre_in_percent_of_its_tracks(page, drawn):
    axes = drawn["confusion.png"].axes[0]
    shares = [[50, 50, 0], [0, 0, 100], [100 / 3, 0, 200 / 3]]
    np.testing.assert_allclose(axes.images[0].get_array(), shares)
    assert ticks_of(axes.yaxis) == ["Folk (2)", "Jazz (1)", "Rock (3)"]
    assert ticks_of(axes.xaxis) == NAMES
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {(0, 0): "50", (1, 0): "50", (2, 1): "100", (0, 2): "33", (2, 2): "67"}  # column, row


def test_each_genre_has_its_f1_bar(page, drawn):
    axes = drawn["f1.png"].axes[0]
    bars = dict(zip(ticks_of(axes.yaxis), (bar.get_width() for bar in axes.patches), strict=True))
    assert bars == {"Jazz": 0.0, "Folk": 0.5, "Rock": pytest.approx(2 / 3)}
    assert list(bars) == ["Jazz", "Folk", "Rock"]  # from the bottom


def test_the_curves_are_those_of_the_epochs(page, drawn):
    mark = ([1, 1], [0, 1])  # the best epoch's, over the whole height
    for name, training, validation in (("loss", [2.0, 1.0], [1.5, 1.25]), ("accuracy", [0.25, 0.5], [0.75, 0.625])):
        lines = lines_of(drawn[f"{name}.png"])
        expected = {"training": ([1, 2], training), "validation": ([1, 2], validation)}
        assert lines == {**expected, "best validation accuracy": mark}
        assert legend_of(drawn[f"{name}.png"]) == list(lines)


def test_the_tables_say_the_same(page):
    for expected in (
        row("data", "a &lt; b"),
        row("tracks", 6),
        row("accuracy", "50.0 %"),
        row("always the most frequent genre", "50.0 %"),
        row("kNN", "1 %"),
        row("Folk", 2, "0.500", "0.500", "0.500"),
        row("Jazz", 1, "0.000", "0.000", "0.000"),
        row("Rock", 3, "0.667", "0.667", "0.667"),
        row(1, 10, "2.0000", "25.0 %", "1.5000", "75.0 %"),
        row(2, 20, "1.0000", "50.0 %", "1.2500", "62.5 %"),
    ):
        assert expected in page


def test_a_mistake_is_listed_as_true_genre_then_predicted_genre(page):
    for true, predicted in (("Folk", "Jazz"), ("Jazz", "Rock"), ("Rock", "Folk")):
        assert row(true, predicted, 1) in page
        assert row(predicted, true, 1) not in page


def test_the_page_shows_its_pictures_and_the_files_hold_the_numbers(page, tmp_path):
    for picture in ("confusion.png", "f1.png", "loss.png", "accuracy.png"):
        assert f'src="{picture}"' in page
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "scores.json").read_text())["confusion"] == [[1, 1, 0], [0, 0, 1], [1, 0, 2]]
    with (tmp_path / "predictions.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["id"] for line in lines] == ["10", "11", "12", "13", "14", "15"]
    assert (lines[5]["genres"], lines[5]["predicted"], float(lines[5]["Folk"])) == ("Rock", "Folk", 0.8)


def test_multi_label_tracks_have_all_genres_of_probability_one_half_or_more(tmp_path):
    probabilities, targets = np.array([[0.9, 0.6, 0.1], [0.2, 0.7, 0.4]]), np.array([[1, 0, 0], [1, 1, 0]])
    multi_label = Predictions(["a.flac", "b\udce9.flac"], probabilities, targets)
    write_report(tmp_path, multi_label, ["A", "B", "C"], title="Test")
    lines = (tmp_path / "predictions.csv").read_bytes().splitlines()
    assert lines[1] == b'a.flac,A,"A, B",0.90000,0.60000,0.10000'
    assert lines[2] == b'b\xe9.flac,"A, B",B,0.20000,0.70000,0.40000'  # a name that is no UTF-8 stays what it is
