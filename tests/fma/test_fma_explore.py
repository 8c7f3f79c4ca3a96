"""The exploration's numbers, and a report with every section and picture."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from fma_tree import FMATree
from matplotlib.image import imread

from mert_fairseq.fma import FMA, parse_licence
from mert_fairseq.fma.explore import counts, explore


@pytest.fixture(scope="module")
def fma(fma_tables: FMATree) -> FMA:
    return FMA(fma_tables.metadata_dir)


def test_columns_are_described_by_type_and_missing_values():
    table = pd.DataFrame(
        {
            ("track", "title"): pd.Series(["a", np.nan, "a", "b" * 60], dtype=object),
            ("track", "tags"): pd.Series([[], ["x"], ["x"], []], dtype=object),
            ("track", "number"): [1, 2, 3, 4],
            ("track", "date"): pd.to_datetime(["2010-01-01", None, None, "2011-01-01"]),
        }
    )
    described = counts.describe_columns(table)
    assert described["type"].tolist() == ["text", "list", "int64", "date"]
    assert described["missing"].tolist() == [1, 2, 0, 2]
    assert described["missing_share"].tolist() == [0.25, 0.5, 0, 0.5]
    assert described.index[0] == "track/title"
    assert described.loc["track/title", ["first", "second"]].tolist() == ["a", ""]


def test_long_and_broken_cells_become_one_short_line():
    assert counts.shorten("two\nlines\t here") == "two lines here"
    assert counts.shorten("x" * 100) == "x" * 47 + "…"
    assert counts.shorten(float("nan")) == ""
    assert counts.shorten([76, 103]) == "[76, 103]"


def test_split_sizes_are_those_of_the_tree(fma: FMA):
    assert counts.split_sizes(fma).loc["small"].tolist() == [64, 8, 8]
    assert counts.split_sizes(fma).sum(axis=1).tolist() == [80, 160, 200]


def test_top_genres_are_counted_by_split(fma: FMA):
    small = counts.top_genre_counts(fma, "small")
    assert small.columns.tolist() == ["training", "validation", "test"]
    assert sorted(small.index) == sorted(
        ["Hip-Hop", "Pop", "Folk", "Experimental", "Rock", "International", "Electronic", "Instrumental"]
    )
    assert (small.to_numpy() == [8, 1, 1]).all()
    assert counts.top_genre_counts(fma, "large").to_numpy().sum() == 180  # 20 have no top genre


def test_genres_are_counted_with_those_below_them(fma: FMA):
    genres = counts.genre_counts(fma)
    assert genres["large"].tolist() == genres["published"].tolist()
    assert genres.loc[109, "depth"] == 2
    assert list(genres.index).index(109) == list(genres.index).index(25) + 1
    assert genres.loc[12, "small"] == 10
    assert genres.loc[25, "small"] >= genres.loc[109, "small"]


def test_licences_are_counted_by_their_short_name(fma: FMA):
    licences = counts.licence_counts(fma)
    texts = fma.tracks["track", "license"].astype(object)
    assert licences["tracks"].sum() == 200
    assert licences.loc["CC BY-NC-SA", "tracks"] == sum(parse_licence(text).code == "CC BY-NC-SA" for text in texts)
    assert licences.loc["none", "tracks"] == texts.isna().sum() > 0
    assert licences["tracks"].is_monotonic_decreasing


def test_bit_rates_that_are_not_common_are_put_together(fma: FMA):
    rates = counts.bit_rate_counts(fma)
    assert rates.sum() == 200
    assert rates["other"] == (fma.tracks["track", "bit_rate"] == 263_441).sum()


def test_an_artist_in_two_splits_is_counted(fma: FMA):
    assert counts.artists_in_several_splits(fma) == 0
    other = FMA(fma.metadata_dir)
    splits = other.tracks["set", "split"]
    train, test = other.tracks.index[splits == "training"][0], other.tracks.index[splits == "test"][0]
    other.tracks.loc[test, ("artist", "id")] = other.tracks.loc[train, ("artist", "id")]
    assert counts.artists_in_several_splits(other) == 1


@pytest.fixture(scope="module")
def report(fma: FMA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return explore(fma, tmp_path_factory.mktemp("report"))


def test_the_report_has_every_section_and_picture(report: Path):
    text = report.read_text(encoding="utf-8")
    for section in (
        "Tables",
        "Subsets and splits",
        "Genres",
        "Genre tree",
        "tracks.csv",
        "features.csv",
        "echonest.csv",
    ):
        assert f"<h2>{section}</h2>" in text
    pictures = re.findall(r'<img src="([^"]+)"', text)
    assert set(pictures) == {path.name for path in report.parent.glob("*.png")}
    assert len(pictures) == 11
    for picture in pictures:
        pixels = imread(report.parent / picture)
        assert pixels.shape[0] > 200
        assert pixels.std() > 0.05, picture


def test_the_report_tells_made_up_tables_from_the_published_ones(report: Path):
    assert "These are not the published tables" in report.read_text(encoding="utf-8")


def test_the_report_escapes_what_artists_wrote(report: Path):
    text = report.read_text(encoding="utf-8")
    assert "&lt;p&gt;Formed in a" in text
    assert "<p>Formed" not in text


@pytest.fixture
def command(repo_root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("explore_fma", repo_root / "preprocess" / "explore_fma.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_names_a_damaged_table(command, metadata_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    path = metadata_dir / "tracks.csv"
    path.write_bytes(path.read_bytes()[:5000])
    assert command.main([str(metadata_dir), "--out", str(tmp_path / "report")]) == 1
    assert re.search(r"explore_fma: .*tracks.csv: ends .* cut short", capsys.readouterr().err)
    assert not (tmp_path / "report").exists()
