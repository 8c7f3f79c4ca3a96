"""Names: what a manifest refuses, safe destinations for it, escapes for tables."""

import os
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mert_fairseq.files import escape
from mert_fairseq.preprocessing.converted_files import name_problem, safe_destinations

NOT_UTF8 = os.fsdecode(b"caf\xe9.mp3")


@pytest.mark.parametrize("path", ["a\tb.mp3", "a\nb.mp3", "a\rb.mp3", " a.mp3", "a.mp3 ", NOT_UTF8])
def test_a_name_that_a_line_cannot_hold_is_a_problem(path: str) -> None:
    assert name_problem(path)


@pytest.mark.parametrize("path", ["a b.mp3", "ü/日本.mp3", "a\u2028b.mp3", "it's 100 %.mp3"])
def test_inner_blanks_and_unicode_are_allowed(path: str) -> None:
    assert name_problem(path) is None


def test_the_suffix_changes_and_nothing_else() -> None:
    assert safe_destinations(["Björk/01. Hunter.mp3"], ".flac") == {"Björk/01. Hunter.mp3": "Björk/01. Hunter.flac"}


def test_sources_with_colliding_names_get_different_names() -> None:
    sources = ["a.mp3", "a.ogg", "A.wav", "b.mp3"]
    destinations = safe_destinations(sources, ".flac")
    assert destinations["b.mp3"] == "b.flac"
    assert len({name.casefold() for name in destinations.values()}) == 4
    assert all(PurePosixPath(name).suffix == ".flac" for name in destinations.values())


def test_a_file_that_would_collide_with_a_folder_gets_another_name() -> None:
    destinations = safe_destinations(["live.mp3", "live.flac/1.mp3"], ".flac")
    assert destinations["live.flac/1.mp3"] == "live.flac/1.flac"
    assert destinations["live.mp3"] not in ("live.flac", "live.flac/1.flac")


def test_the_name_of_a_converted_file_does_not_depend_on_other_files() -> None:
    assert safe_destinations(["a\tb.mp3"], ".wav") == {
        "a\tb.mp3": safe_destinations(["x.mp3", "a\tb.mp3"], ".wav")["a\tb.mp3"]
    }


names = st.one_of(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=300),
    st.binary(min_size=1, max_size=20).filter(lambda name: not set(name) & set(b"/\0")).map(os.fsdecode),
).filter(lambda name: name not in (".", ".."))


@given(st.sets(st.lists(names, min_size=1, max_size=3).map("/".join), max_size=6))
def test_every_destination_is_safe_short_and_its_own(sources: set[str]) -> None:
    destinations = safe_destinations(sorted(sources), ".flac")
    folded = {name.casefold() for name in destinations.values()}
    assert len(folded) == len(sources)
    for name in destinations.values():
        assert name_problem(name) is None
        assert name.endswith(".flac")
        assert len(PurePosixPath(name).name.encode()) <= 240


@pytest.mark.parametrize(
    ("text", "cell"),
    [("a\tb", r"a\tb"), ("a\nb", r"a\nb"), ("a\\tb", r"a\\tb"), (NOT_UTF8, r"caf\xe9.mp3"), ("ü 日", "ü 日")],
)
def test_a_table_cell_stays_on_its_line(text: str, cell: str) -> None:
    assert escape(text) == cell
