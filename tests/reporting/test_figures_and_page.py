"""Figures are PNG files that a page shows; texts are escaped."""

import numpy as np
import pytest

from mert_fairseq.reporting.figures import draw_bars, draw_curves, draw_spectrograms
from mert_fairseq.reporting.page import Page
from mert_fairseq.reporting.training_log import Curve


def test_figures_are_png_files_of_their_size(tmp_path):
    curve = Curve(np.array([1, 2, 3]), np.array([3.0, 2.0, 1.0]))
    image = np.random.default_rng(0).random((30, 12))
    image[3:9] = np.nan
    drawn = [
        draw_curves(tmp_path / "a.png", {"loss": curve}, title="t", ylabel="y", levels={"base": 2.0}, marks={"r": 2}),
        draw_bars(tmp_path / "b.png", ["one", "two"], {"x": [0.1, 0.2], "y": [0.3, 0.4]}, title="t", ylabel="y"),
        draw_spectrograms(tmp_path / "c.png", {"p": image, "q": image * 9}, seconds=2.0, ylabel="bin"),
    ]
    for path in drawn:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 5_000


def test_a_page_escapes_its_texts_and_names_pictures_relatively(tmp_path):
    page = Page("a < b")
    page.heading("R & D")
    page.table(["name", "value"], [["<x>", "1"]])
    page.picture(tmp_path / "loss.png", 'the "loss"')
    html = page.write(tmp_path).read_text()
    for expected in ("<h1>a &lt; b</h1>", "R &amp; D", "<td>&lt;x&gt;</td>", 'src="loss.png"', "the &quot;loss&quot;"):
        assert expected in html
    assert str(tmp_path) not in html


def test_a_ragged_table_is_refused():
    with pytest.raises(ValueError, match=r"row \['1'\] has 1 cells, the header \['a', 'b'\] has 2"):
        Page("t").table(["a", "b"], [["1"]])
