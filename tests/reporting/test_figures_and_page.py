"""Figures show the values they are given; pages escape their texts."""

import numpy as np
import pytest
from figure_values import legend_of, lines_of, ticks_of

from mert_fairseq.reporting.figures import draw_bars, draw_curves, draw_spectrograms
from mert_fairseq.reporting.page import Page
from mert_fairseq.reporting.training_log import Curve


def test_curves_levels_and_marks_are_where_their_values_are(tmp_path, drawn):
    curves = {
        "one": Curve(np.array([1, 2, 4]), np.array([3.0, 2.0, 1.0])),
        "two": Curve(np.array([3]), np.array([5.0])),
    }
    path = draw_curves(tmp_path / "a.png", curves, title="t", ylabel="y", levels={"base": 2.5}, marks={"resumed": 3})
    assert path.read_bytes().startswith(b"\x89PNG")
    lines = lines_of(drawn["a.png"])
    assert lines == {
        "one": ([1, 2, 4], [3.0, 2.0, 1.0]),
        "two": ([3], [5.0]),
        "base": ([0, 1], [2.5, 2.5]),  # over the whole width
        "resumed": ([3, 3], [0, 1]),
    }
    assert legend_of(drawn["a.png"]) == list(lines)


def test_the_legend_covers_no_curve_and_no_epoch_is_a_fraction(tmp_path, drawn):
    draw_curves(tmp_path / "a.png", {"one": Curve(np.arange(1, 4), np.ones(3))}, title="t", ylabel="y")
    axes = drawn["a.png"].axes[0]
    assert axes.get_legend().get_window_extent().x0 >= axes.get_window_extent().x1
    assert all(tick == round(tick) for tick in axes.get_xticks())


def test_bars_stand_in_their_groups_side_by_side(tmp_path, drawn):
    draw_bars(tmp_path / "b.png", ["r", "s"], {"x": [0.1, 0.2], "y": [0.3, 0.4]}, title="t", ylabel="y")
    axes = drawn["b.png"].axes[0]
    bars = [(round(bar.get_x() + bar.get_width() / 2, 3), bar.get_height()) for bar in axes.patches]
    assert bars == [(-0.2, 0.1), (0.8, 0.2), (0.2, 0.3), (1.2, 0.4)]
    assert (ticks_of(axes.xaxis), legend_of(drawn["b.png"])) == (["r", "s"], ["x", "y"])


def test_spectrograms_have_time_from_left_to_right_and_bins_from_the_bottom(tmp_path, drawn):
    image = np.arange(6.0).reshape(3, 2)  # 3 frames of 2 bins
    image[1] = np.nan
    images = {"p": image, "q": image * 9}
    draw_spectrograms(tmp_path / "c.png", images, seconds=2.0, ylabel="pitch", yticks={"C1": 1}, value="dB")
    upper, lower, bar = drawn["c.png"].axes[:3]
    for axes, name in ((upper, "p"), (lower, "q")):
        shown = axes.images[0]
        np.testing.assert_array_equal(shown.get_array().filled(np.nan), images[name].T)
        assert (shown.origin, list(shown.get_extent())) == ("lower", [0, 2, 0, 2])
        assert (axes.get_title(), axes.get_ylabel()) == (name, "pitch")
        assert (list(axes.get_yticks()), ticks_of(axes.yaxis)) == ([1.5], ["C1"])
    assert upper.images[0].get_clim() == lower.images[0].get_clim()
    assert bar.get_ylabel() == "dB"


def test_a_page_escapes_its_texts_and_names_pictures_relatively(tmp_path):
    page = Page("a < b")
    page.heading("R & D")
    page.table(["name", "value"], [["<x>", "1"]])
    page.picture(tmp_path / "loss.png", 'the "loss"')
    html = page.write(tmp_path).read_text()
    for expected in ("<h1>a &lt; b</h1>", "R &amp; D", "<td>&lt;x&gt;</td>", 'src="loss.png"', "the &quot;loss&quot;"):
        assert expected in html
    assert str(tmp_path) not in html


def test_a_ragged_table_is_an_error():
    with pytest.raises(ValueError, match=r"row \['1'\] has 1 cells, the header \['a', 'b'\] has 2"):
        Page("t").table(["a", "b"], [["1"]])
