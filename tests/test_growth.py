"""benchmarks/growth.py on made-up results: its table and its plot."""

import pytest


@pytest.fixture
def growth(benchmarks):
    import growth

    return growth


def _rows(growth):
    """Launches that do not grow and FLOPs in proportion for both models, and times of tiny up to half of the clips."""
    rows = []
    for size in ("95m", "330m"):
        for axis, (_, values) in growth.AXES.items():
            rows += [{"size": size, "axis": axis, "value": v, "launches": 800, "tflop": 0.5 * v} for v in values]
    return rows + [{"size": "tiny", "axis": "clips", "value": v, "ms": 10.0 + v} for v in (1, 2, 4, 8)]


def test_the_table_says_how_much_each_quantity_grows_over_the_range(growth):
    lines = growth.table(_rows(growth)).splitlines()
    assert lines[0] == (
        "| | length of clips, s: 1 to 60 | clips: 1 to 128 | codebooks: 1 to 32 | classes per codebook: 256 to 4096 |"
    )
    assert lines[2].startswith("| launches, forward to backward, 95M | 800 to 800: x 1 | 800 to 800: x 1 |")
    assert "| TFLOP, 330M | 0.5 to 30: x 60 | 0.5 to 64: x 128 |" in lines[5]
    assert lines[-1] == "| ms of one CPU thread, tiny | | 11 to 18: x 1.64 (at 8) | | |"


def test_the_plot_has_a_panel_per_quantity_and_axis(growth, monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(growth, "save_figure", lambda figure, path: drawn.append(figure) or path)
    growth.plot(_rows(growth), tmp_path / "growth.png")
    panels = drawn[0].get_axes()
    assert len(panels) == len(growth.QUANTITIES) * len(growth.AXES)
    assert [panel.get_xlabel() for panel in panels[-4:]] == [name for name, _ in growth.AXES.values()]
    assert [text.get_text() for text in panels[0].get_legend().get_texts()] == ["95M", "330M"]
