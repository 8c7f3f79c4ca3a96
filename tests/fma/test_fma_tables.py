"""The metadata tables read as they were written, on any pandas, and faults are located."""

import ast
import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fma_tree import FMATree
from fma_tree.tracks import make_tracks
from fma_tree.tree import write_stacked
from hypothesis import given, settings
from hypothesis import strategies as st

from mert_fairseq.fma import TableError, load_echonest, load_features, load_genres, load_tracks
from mert_fairseq.fma.schema import TRACKS


def cells_of(path: Path, headers: int) -> tuple[list[tuple[str, ...]], dict[int, list[str]]]:
    """The same file by the csv module alone: column names, and the cells of each track."""
    rows = list(csv.reader(path.open(encoding="utf-8", newline="")))
    return list(zip(*(row[1:] for row in rows[:headers]), strict=True)), {int(r[0]): r[1:] for r in rows[headers + 1 :]}


def test_tracks_have_the_published_columns_and_types(fma_tables: FMATree):
    tracks = load_tracks(fma_tables.metadata_dir / "tracks.csv")
    assert tracks.shape == (200, 52)
    assert tracks.index.name == "track_id"
    assert tracks.index.dtype == np.int64
    assert tracks.columns.get_level_values(0).value_counts().to_dict() == {
        "track": 20,
        "artist": 17,
        "album": 13,
        "set": 2,
    }
    dates = [column for column in tracks if tracks[column].dtype.kind == "M"]
    assert sorted(dates) == sorted(
        [("track", "date_created"), ("track", "date_recorded"), ("album", "date_created"), ("album", "date_released")]
        + [("artist", name) for name in ("date_created", "active_year_begin", "active_year_end")]
    )
    assert {tracks[column].dtype for column in dates} == {np.dtype("datetime64[s]")}
    for column in [("track", "genre_top"), ("track", "license"), ("set", "split"), ("set", "subset")]:
        assert isinstance(tracks[column].dtype, pd.CategoricalDtype), column


def test_every_text_cell_of_tracks_survives(fma_tables: FMATree):
    path = fma_tables.metadata_dir / "tracks.csv"
    tracks = load_tracks(path)
    columns, rows = cells_of(path, headers=2)
    for column in [("track", "title"), ("artist", "name"), ("artist", "bio"), ("track", "license"), ("album", "type")]:
        place = columns.index(column)
        assert tracks[column].astype(object).fillna("").tolist() == [cells[place] for cells in rows.values()]
    assert {"None", "NA", "null", "nan"} <= set(tracks["track", "title"])
    assert "N/A" in set(tracks["artist", "name"])


def test_lists_are_what_their_literals_say(fma_tables: FMATree):
    path = fma_tables.metadata_dir / "tracks.csv"
    tracks = load_tracks(path)
    columns, rows = cells_of(path, headers=2)
    for column in [("track", "genres"), ("track", "genres_all"), ("track", "tags"), ("artist", "tags")]:
        place = columns.index(column)
        assert tracks[column].tolist() == [ast.literal_eval(cells[place]) for cells in rows.values()]


def test_two_tracks_do_not_share_a_list(fma_tables: FMATree):
    genres = load_tracks(fma_tables.metadata_dir / "tracks.csv")["track", "genres"]
    assert len({id(value) for value in genres}) == len(genres) > genres.astype(str).nunique()


def test_subsets_are_ordered_and_include_the_smaller_ones(fma_tables: FMATree):
    subset = load_tracks(fma_tables.metadata_dir / "tracks.csv")["set", "subset"]
    assert [int((subset <= name).sum()) for name in ("small", "medium", "large")] == [80, 160, 200]


def test_top_genre_is_missing_for_tracks_of_several_roots_only(fma_tables: FMATree):
    tracks = load_tracks(fma_tables.metadata_dir / "tracks.csv")
    missing = tracks["track", "genre_top"].isna()
    assert missing.sum() == 20
    assert set(tracks["set", "subset"][missing]) == {"large"}
    assert (tracks["track", "genres"][missing].map(len) == 2).all()


def test_dates_and_empty_dates(fma_tables: FMATree):
    path = fma_tables.metadata_dir / "tracks.csv"
    tracks = load_tracks(path)
    columns, rows = cells_of(path, headers=2)
    place = columns.index(("album", "date_released"))
    track_id, text = next((track_id, cells[place]) for track_id, cells in rows.items() if cells[place])
    assert tracks.loc[track_id, ("album", "date_released")] == pd.Timestamp(text)
    empty = next(track_id for track_id, cells in rows.items() if not cells[place])
    assert pd.isna(tracks.loc[empty, ("album", "date_released")])


def test_features_are_518_columns_of_the_written_digits(fma_tables: FMATree):
    path = fma_tables.metadata_dir / "features.csv"
    features = load_features(path)
    assert features.shape == (200, 518)
    assert list(features.columns.names) == ["feature", "statistics", "number"]
    assert features["mfcc", "mean"].columns.tolist() == [f"{number:02d}" for number in range(1, 21)]
    columns, rows = cells_of(path, headers=3)
    assert columns == sorted(columns) == features.columns.tolist()
    assert len({feature for feature, _, _ in columns}) == 11
    assert len({(feature, number) for feature, _, number in columns}) == 74
    for track_id in list(rows)[:5]:
        np.testing.assert_array_equal(features.loc[track_id], [float(cell) for cell in rows[track_id]])


def test_echonest_is_249_columns_for_some_tracks(fma_tables: FMATree):
    echonest = load_echonest(fma_tables.metadata_dir / "echonest.csv")
    groups = echonest["echonest"].columns.get_level_values(0).value_counts().to_dict()
    assert groups == {"temporal_features": 224, "audio_features": 8, "metadata": 7, "social_features": 5, "ranks": 5}
    assert echonest.shape == (80, 249)
    assert echonest["echonest", "temporal_features"].columns[[0, -1]].tolist() == ["000", "223"]
    assert echonest["echonest", "audio_features", "tempo"].between(20, 300).all()


def test_genres_have_one_level_of_columns(fma_tables: FMATree):
    genres = load_genres(fma_tables.metadata_dir / "genres.csv")
    assert genres.index.name == "genre_id"
    assert genres.columns.tolist() == ["#tracks", "parent", "title", "top_level"]
    assert genres.loc[109].tolist()[1:] == [25, "Hardcore", 12]
    assert genres.loc[[175, 178], "#tracks"].tolist() == [0, 0]


def replace_cell(path: Path, headers: int, row: int, column: tuple[str, ...], text: str) -> int:
    """Spoil a cell of the row-th track; returns the line that the track begins on, found by its id."""
    rows = list(csv.reader(path.open(encoding="utf-8", newline="")))
    columns = list(zip(*(cells[1:] for cells in rows[:headers]), strict=True))
    below = headers if headers == 1 else headers + 1
    rows[below + row][1 + columns.index(column)] = text
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    start = f"{rows[below + row][0]},".encode()
    return next(line for line, text in enumerate(path.open("rb"), start=1) if text.startswith(start))


TRACK_FAULTS = [
    (("track", "genres"), "[21, 'x']", "a list of genre ids such as [76, 103]"),
    (("track", "genres"), "__import__('os').getpid()", "a list of genre ids"),
    (("track", "genres_all"), "", "a list of genre ids"),
    (("track", "tags"), "['lo-fi'", "a list of words"),
    (("track", "tags"), "[" * 500 + "]" * 500, "a list of words"),
    (("track", "date_created"), "yesterday", "a date such as 2008-11-26 01:44:45"),
    (("track", "duration"), "2:48", "a whole number"),
    (("track", "listens"), "12.5", "a whole number"),
    (("track", "listens"), "inf", "a whole number"),
    (("artist", "latitude"), "north", "a number"),
    (("set", "split"), "train", "one of training, validation, test"),
    (("set", "subset"), "", "one of small, medium, large"),
]


@pytest.mark.parametrize(("column", "text", "expected"), TRACK_FAULTS)
def test_a_wrong_cell_is_named_by_line_track_and_column(metadata_dir, column, text, expected):
    path = metadata_dir / "tracks.csv"
    line = replace_cell(path, 2, 7, column, text)
    track_id = load_ids(path)[7]
    with pytest.raises(TableError) as error:
        load_tracks(path)
    assert f"tracks.csv: line {line}, track_id {track_id}, column {'/'.join(column)}: found" in str(error.value)
    assert expected in str(error.value)
    assert "Unpack fma_metadata.zip again" in str(error.value)


def load_ids(path: Path) -> list[str]:
    return [row[0] for row in csv.reader(path.open(encoding="utf-8", newline=""))][3:]


def test_a_wrong_number_among_the_features_is_named(metadata_dir: Path):
    path = metadata_dir / "features.csv"
    line = replace_cell(path, 3, 150, ("mfcc", "std", "07"), "1.2.3")
    assert line == 155
    with pytest.raises(
        TableError, match=r"line 155, track_id \d+, column mfcc/std/07: found '1.2.3', expected a number"
    ):
        load_features(path)


def test_an_empty_count_reads_as_unknown(metadata_dir: Path):
    path = metadata_dir / "tracks.csv"
    replace_cell(path, 2, 0, ("track", "bit_rate"), "")
    assert load_tracks(path)["track", "bit_rate"].iloc[0] == -1


def spoil(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("name", ["tracks.csv", "genres.csv", "features.csv", "echonest.csv"])
def test_a_truncated_file_is_an_error_wherever_it_is_cut(metadata_dir: Path, name: str, share: float):
    path = metadata_dir / name
    spoil(path, lambda data: data[: int(share * len(data))])
    load = {"tracks": load_tracks, "genres": load_genres, "features": load_features, "echonest": load_echonest}
    with pytest.raises(TableError, match=rf"{name}: ends .*cut short"):
        load[path.stem](path)


def test_a_row_with_missing_cells_is_an_error(metadata_dir: Path):
    path = metadata_dir / "features.csv"

    def cut_line_ten(data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        lines[9] = b",".join(lines[9].split(b",")[:500]) + b"\n"
        return b"".join(lines)

    spoil(path, cut_line_ten)
    assert pd.read_csv(path, header=[0, 1, 2], index_col=0).shape == (200, 518)
    with pytest.raises(
        TableError, match=r"line 10, track_id \d+: the row ends before column .*found 500 cells, exp.* 519"
    ):
        load_features(path)


def test_a_row_with_surplus_cells_is_named(metadata_dir: Path):
    path = metadata_dir / "genres.csv"
    spoil(path, lambda data: data.replace(b"Punk", b"Punk, early"))
    with pytest.raises(TableError, match=r"genre_id 25: the row continues after column top_level; found 6 cells"):
        load_genres(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.replace(b"genre_top", b"genre_bottom"), "column track/genre_top is missing; found 52"),
        (
            lambda data: data.replace(b"\ntrack_id,", b"\ntrackid,"),
            "line 3 begins with 'trackid'; expected .* 'track_id'",
        ),
        (lambda data: data.split(b"\n", 3)[3], "is missing"),
        (lambda data: b"\n".join(data.split(b"\n")[:3]) + b"\n", "has its header but no rows"),
        (lambda data: b"PK\x03\x04" + bytes(100), "line 1 contains zero bytes"),
        (lambda data: b"", "has 0 lines, but its header alone has 3"),
        (lambda data: data.replace("Größe".encode(), "Größe".encode("latin-1")), "is not UTF-8 text"),
        (lambda data: data + data.split(b"\n", 3)[3], r"track_id \d+ occurs twice"),
        (lambda data: data.replace(b"\n98565,", b"\nninety,"), "track_id ninety, column track_id: found 'ninety', exp"),
    ],
)
def test_a_file_that_is_not_tracks_csv_is_an_error(metadata_dir: Path, change, message: str):
    path = metadata_dir / "tracks.csv"
    spoil(path, change)
    with pytest.raises(TableError, match=message):
        load_tracks(path)


def test_a_missing_file_says_where_to_get_it(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"tracks.csv: no such file. It is part of https://.*fma_metadata.zip"):
        load_tracks(tmp_path / "tracks.csv")


# Carriage returns stand in the published file only inside cells that are quoted for another reason.
EIGHT_TRACKS = make_tracks(np.random.default_rng(0), 1, 0, 0, ())
words = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)


@settings(max_examples=15, deadline=None)
@given(
    titles=st.lists(words, min_size=8, max_size=8), tags=st.lists(st.lists(words, max_size=3), min_size=8, max_size=8)
)
def test_any_title_and_any_tags_survive_the_file(tmp_path_factory, titles: list[str], tags: list[list[str]]):
    table = EIGHT_TRACKS.copy()
    table["track", "title"] = titles
    table["track", "tags"] = [str(words) for words in tags]
    path = tmp_path_factory.mktemp("text") / "tracks.csv"
    write_stacked(path, table, TRACKS)
    tracks = load_tracks(path)
    assert tracks["track", "title"].fillna("").tolist() == titles
    assert tracks["track", "tags"].tolist() == tags


def test_a_stray_carriage_return_does_not_end_a_row(metadata_dir: Path):
    path = metadata_dir / "genres.csv"
    spoil(path, lambda data: data.replace(b"Punk", b"Pu\rnk"))
    with pytest.raises(TableError, match=r"genres.csv: found 38 rows that end in a line feed, but 39"):
        load_genres(path)
