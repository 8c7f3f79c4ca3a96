"""A table of genres, matched to manifests."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mert_fairseq.manifest import Manifest
from mert_fairseq.preprocessing.genre_table import label_genres, read_table

sys.path.insert(0, str(Path(__file__).parents[2] / "preprocess"))
import label_genres as command


@pytest.fixture
def data(tmp_path):
    for split, names in (("train", ["a.flac", "b.flac", "d.flac"]), ("valid", ["c.flac"])):
        samples = np.arange(len(names)) + 1_000
        Manifest(tmp_path / "audio", names, samples, 24_000).write(tmp_path / f"{split}.tsv")
    sources = "path\tsource\n" + "".join(f"{name}.flac\tdisc/{name}.mp3\n" for name in "abcd")
    (tmp_path / "tracks.tsv").write_text(sources)
    return tmp_path


def write(data, text):
    (data / "table.tsv").write_text(text)
    return data / "table.tsv"


def test_labels_follow_the_manifests_and_may_name_the_source(data):
    table = write(data, "path\tgenre\ndisc/a.mp3\tRock\nb.flac\tFolk | Blues\ndisc/c.mp3\tFolk\nother.mp3\tJazz\n")
    summary = label_genres(data, table)
    genres = data / "genres"
    assert (genres / "genres.tsv").read_text().splitlines()[1:] == [
        "1\tBlues\t1\tBlues",
        "2\tFolk\t2\tFolk",
        "3\tRock\t3\tRock",
    ]
    assert (genres / "train.genres").read_text() == "3\n2 1\n\n"
    assert (genres / "train.genre_top").read_text() == "3\n\n\n"
    assert (genres / "valid.genre_top").read_text() == "2\n"
    assert (genres / "dict.genres.txt").read_text() == "1 1\n2 2\n3 1\n"
    assert (genres / "dict.genre_top.txt").read_text() == "2 1\n3 1\n"
    assert (genres / "unlabelled.txt").read_text() == "d.flac\n"
    assert summary.tracks == {"train": 2, "valid": 1}
    assert summary.unmatched == ["other.mp3"]


def test_a_table_with_splits_writes_manifests_anew(data, tmp_path):
    rows = ["a.flac\tRock\ttest", "b.flac\tFolk\ttrain", "c.flac\tRock\ttrain"]
    table = write(data, "path\tgenre\tsplit\n" + "".join(f"{row}\n" for row in rows))
    label_genres(data, table, tmp_path / "out")
    train = Manifest.read(tmp_path / "out/train.tsv")
    assert list(train.paths) == ["b.flac", "c.flac"]
    assert train.samples.tolist() == [1_001, 1_000]
    assert (tmp_path / "out/genres/train.genre_top").read_text() == "1\n2\n"
    assert list(Manifest.read(tmp_path / "out/test.tsv").paths) == ["a.flac"]
    with pytest.raises(ValueError, match="has splits, so new manifests are written"):
        label_genres(data, table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\tgenre\na\tRock\n", r"found the columns \['file', 'genre'\], expected path and genre"),
        ("path\tgenre\na\tRock\na\tFolk\n", "table.tsv:3: 'a' occurs twice"),
        ("path\tgenre\na\tRock\n\tFolk\n", "table.tsv:3: the path is empty"),
        ("path\tgenre\na\tRock\n\nb\n", "table.tsv:4: found 1 cells, expected 2 separated by tabs"),
        ("genre\tpath\nRock\n", "table.tsv:2: found 1 cells, expected 2 separated by tabs"),
        ("path\tgenre\na\tRock\tFolk\n", "table.tsv:2: found 3 cells, expected 2 separated by tabs"),
        ("", r"table.tsv:1: found the columns \[\], expected path and genre"),
        (
            "path\tgenre\tsplit\na\tRock\tdev\n",
            "table.tsv:2: found the split 'dev', expected one of train, valid, test",
        ),
    ],
)
def test_an_invalid_table_is_an_error(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_table(write(tmp_path, text))


def test_a_table_in_another_encoding_is_an_error_with_the_line_and_the_remedy(tmp_path):
    (tmp_path / "table.tsv").write_bytes("path\tgenre\na\tRock\nb\tBoléro\n".encode("latin-1"))
    with pytest.raises(ValueError, match="table.tsv:3: found the byte 0xe9, expected UTF-8.*iconv"):
        read_table(tmp_path / "table.tsv")
    (tmp_path / "table.tsv").write_text("path\tgenre\nb\tBoléro\n", encoding="utf-8-sig")  # as Excel writes it
    assert read_table(tmp_path / "table.tsv")["b"].genres == ("Boléro",)


def test_a_track_without_a_row_in_tracks_tsv_is_matched_by_its_own_path(data):
    (data / "tracks.tsv").write_text("path\tsource\na.flac\tdisc/a.mp3\n")
    table = write(data, "path\tgenre\ndisc/a.mp3\tRock\nb.flac\tFolk\n")
    assert label_genres(data, table).tracks == {"train": 2, "valid": 0}


def test_a_table_of_other_music_ends_the_command_with_status_1(data, capsys):
    assert command.main([str(data), str(write(data, "path\tgenre\nx.mp3\tRock\n"))]) == 1
    error = capsys.readouterr().err
    assert "none of its 1 paths with a genre is one of the manifests" in error
    assert "first is 'x.mp3', the manifests' first 'a.flac'" in error
    assert command.main([str(data), str(data / "none.tsv")]) == 1
    assert "no such table" in capsys.readouterr().err


def test_the_command_prints_what_matched(data, capsys):
    assert command.main([str(data), str(write(data, "path\tgenre\na.flac\tRock\nc.flac\tFolk\n"))]) == 0
    assert "train 1, valid 1; Folk 1, Rock 1; 2 tracks without a genre" in capsys.readouterr().out
