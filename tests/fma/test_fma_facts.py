"""Licences, known-bad files, genres, archives and paths: the facts of the corpus that need no table on disk."""

import pandas as pd
import pytest

from mert_fairseq import fma
from mert_fairseq.fma import ARCHIVES, GenreTree, audio_path, known_bad, parse_licence, track_id_of
from mert_fairseq.fma.constants import PUBLISHED_SPLITS


@pytest.mark.parametrize(
    ("text", "code", "version", "derivatives", "commercial", "share_alike"),
    [
        ("Attribution-NonCommercial-ShareAlike 3.0 International", "CC BY-NC-SA", "3.0", True, False, True),
        ("Attribution-Noncommercial-Share Alike 3.0 United States", "CC BY-NC-SA", "3.0", True, False, True),
        ("Attribution-Noncommercial-No Derivative Works 3.0 United States", "CC BY-NC-ND", "3.0", False, False, False),
        (
            "Attribution-NonCommercial-NoDerivatives (aka Music Sharing) 3.0 International",
            "CC BY-NC-ND",
            "3.0",
            False,
            False,
            False,
        ),
        ("Creative Commons Attribution-NonCommercial-NoDerivatives 4.0", "CC BY-NC-ND", "4.0", False, False, False),
        ("Creative Commons Attribution-NoDerivs", "CC BY-ND", "", False, True, False),
        ("Attribution-ShareAlike", "CC BY-SA", "", True, True, True),
        ("Attribution 3.0 United States", "CC BY", "3.0", True, True, False),
        ("CC BY-NC-SA 2.5", "CC BY-NC-SA", "2.5", True, False, True),
        ("CC0 1.0 Universal", "CC0", "1.0", True, True, False),
        ("Public Domain Mark 1.0", "public domain", "1.0", True, True, False),
        ("FMA-Limited: Download Only", "FMA-Limited", "", False, False, False),
        ("All Rights Reserved", "unknown", "", False, False, False),
        ("", "none", "", False, False, False),
        (float("nan"), "none", "", False, False, False),
    ],
)
def test_licence_spellings(text, code, version, derivatives, commercial, share_alike):
    assert parse_licence(text) == (code, version, derivatives, commercial, share_alike)


def test_the_reject_reason_names_what_a_licence_does_not_allow():
    licence = parse_licence("Attribution-NonCommercial-NoDerivatives 4.0")
    assert licence.reject_reason([]) == ""
    assert licence.reject_reason(["derivatives"]) == "licence CC BY-NC-ND does not allow derivatives use"
    assert licence.reject_reason(["derivatives", "commercial"]).endswith("derivatives and commercial use")
    assert parse_licence("Attribution").reject_reason(["derivatives", "commercial"]) == ""
    with pytest.raises(ValueError, match="'comercial' is unknown; choose from derivatives, commercial"):
        licence.reject_reason(["comercial"])


def test_known_bad_tracks_and_their_reasons():
    bad = known_bad("small")
    assert len(bad) == 21
    assert bad[99134].startswith("no audio in the file; wrong cut")
    assert bad[98565].startswith("far too short; wrong cut")
    assert bad[1486] == "wrong cut (issue 8 of the data set's tracker)"
    assert list(bad) == sorted(bad)
    assert set(known_bad("large")) - set(bad) == {2624}
    with pytest.raises(ValueError, match="archive 'tiny' is unknown; choose small, medium, large or full"):
        known_bad("tiny")


def test_audio_lies_in_folders_of_a_thousand():
    assert str(audio_path(2)) == "000/000002.mp3"
    assert str(audio_path(155_320, ".flac")) == "155/155320.flac"
    assert track_id_of("fma_small/155/155320.flac") == 155_320
    with pytest.raises(ValueError, match=r"outside 0 \.\.\. 999999"):
        audio_path(1_000_000)
    with pytest.raises(ValueError, match=r"expected a track number such as 000/000002.mp3, found 'cover'"):
        track_id_of("000/cover.mp3")


def test_the_package_docstring_has_corpus_address_citation_and_licence():
    card = fma.__doc__
    for needed in ("https://github.com/mdeff/fma", "arXiv:1612.01840", "ISMIR 2017", "CC BY 4.0", "106,574"):
        assert needed in card
    assert "Defferrard" in fma.CITATION
    assert {len(archive.sha1) for archive in ARCHIVES.values()} == {40}
    assert ARCHIVES["small"].url == "https://os.unil.cloud.switch.ch/fma/fma_small.zip"
    assert [sum(counts) for counts in PUBLISHED_SPLITS.values()] == [8_000, 25_000, 106_574]


def genre_table(*rows: tuple[int, int, str, int]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["genre_id", "parent", "title", "top_level"]).set_index("genre_id")
    return table.assign(**{"#tracks": 1})


ROCK = [(12, 0, "Rock", 12), (25, 12, "Punk", 12), (109, 25, "Hardcore", 12), (31, 12, "Metal", 12), (4, 0, "Jazz", 4)]


def test_genre_tree_roots_children_and_paths():
    tree = GenreTree(genre_table(*ROCK))
    assert tree.roots == (12, 4)
    assert tree.path(109) == (12, 25, 109)
    assert tree.root(109) == tree.root(12) == 12
    assert tree.children(12) == (25, 31)
    assert tree.children(4) == ()
    assert tree.descendants(12) == (25, 109, 31)
    assert tree.title_path(109) == "Rock > Punk > Hardcore"
    assert 31 in tree
    assert 32 not in tree
    assert len(tree) == 5


def test_an_unknown_genre_is_an_error_that_names_it():
    tree = GenreTree(genre_table(*ROCK))
    with pytest.raises(KeyError, match=r"genre 7 is not in genres.csv, which has 5 genres"):
        tree.path(7)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((7, 99, "Lost", 12), r"genre 7 \(Lost\) has parent 99, which is not a genre"),
        ((7, 12, "Moved", 4), r"genre 7 \(Moved\) has top_level 4, but its parents lead to 12"),
        ((7, 7, "Own", 7), r"genres \[7\] are each other's parents"),
    ],
)
def test_a_genre_table_that_is_not_a_tree_is_an_error(row: tuple[int, int, str, int], message: str):
    with pytest.raises(ValueError, match=message):
        GenreTree(genre_table(*ROCK, row))
