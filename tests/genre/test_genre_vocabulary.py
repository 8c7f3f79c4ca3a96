"""Genres and their classes, both ways, and what must hold of splits."""

import json

import pytest

from mert_fairseq.genre.vocabulary import GenreVocabulary, check_counts, check_disjoint

VOCABULARY = GenreVocabulary.of(["Rock", "Folk", "Rock", "Old-Time / Historic"])


def test_titles_and_indices_are_inverse_and_in_the_order_of_the_alphabet():
    assert VOCABULARY.titles == ("Folk", "Old-Time / Historic", "Rock")
    assert [VOCABULARY.index(title) for title in VOCABULARY.titles] == [0, 1, 2]
    assert [VOCABULARY.title(index) for index in range(3)] == list(VOCABULARY.titles)
    assert "Rock" in VOCABULARY
    assert "Polka" not in VOCABULARY


def test_tracks_are_encoded_as_a_class_or_as_multi_hot():
    assert VOCABULARY.encode(["Rock"]) == 2
    assert VOCABULARY.multi_hot(["Rock", "Folk"]).tolist() == [1, 0, 1]
    assert VOCABULARY.counts([["Rock"], ["Rock", "Folk"], []]) == [1, 0, 2]


def test_the_file_holds_both_directions_and_reads_back(tmp_path):
    VOCABULARY.write(tmp_path / "genres.json")
    stored = json.loads((tmp_path / "genres.json").read_text())
    assert stored == {
        "index_to_genre": ["Folk", "Old-Time / Historic", "Rock"],
        "genre_to_index": {"Folk": 0, "Old-Time / Historic": 1, "Rock": 2},
    }
    assert GenreVocabulary.read(tmp_path / "genres.json") == VOCABULARY


def test_wrong_genres_are_errors(tmp_path):
    with pytest.raises(KeyError, match="genre 'Polka' is unknown; this vocabulary has Folk, Old-Time / Historic, Rock"):
        VOCABULARY.index("Polka")
    with pytest.raises(IndexError, match=r"class 3 is outside 0 ... 2"):
        VOCABULARY.title(3)
    with pytest.raises(ValueError, match=r"has the genres \['Folk', 'Rock'\], expected one. Set multi_label"):
        VOCABULARY.encode(["Folk", "Rock"])
    with pytest.raises(ValueError, match="'Folk' occurs twice"):
        GenreVocabulary(["Folk", "Rock", "Folk"])
    with pytest.raises(ValueError, match="needs at least two"):
        GenreVocabulary(["Folk"])


def test_a_damaged_file_is_an_error(tmp_path):
    path = tmp_path / "genres.json"
    with pytest.raises(FileNotFoundError, match="no such genre vocabulary"):
        GenreVocabulary.read(path)
    path.write_text("[1]")
    with pytest.raises(ValueError, match="not a genre vocabulary"):
        GenreVocabulary.read(path)
    path.write_text(json.dumps({"index_to_genre": ["A", "B"], "genre_to_index": {"A": 1, "B": 0}}))
    with pytest.raises(ValueError, match="not the inverse"):
        GenreVocabulary.read(path)


def test_a_track_in_two_splits_is_an_error():
    check_disjoint({"training": [1, 2], "validation": [3], "test": []})
    with pytest.raises(ValueError, match="2 tracks are in training and in test, the first is 5"):
        check_disjoint({"training": [9, 5, 1], "validation": [2], "test": [5, 9]})


def test_a_genre_without_a_training_track_is_an_error():
    check_counts(VOCABULARY, [1, 1, 1], "tracks.csv")
    with pytest.raises(ValueError, match="tracks.csv: 2 of 3 genres have no training track: Folk, Rock"):
        check_counts(VOCABULARY, [0, 4, 0], "tracks.csv")
