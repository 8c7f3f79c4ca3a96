"""The split: albums stay whole, the seed decides, the share is kept."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mert_fairseq.preprocessing.folder_pipeline import check_split, group_of, held_out_groups

PATH = "Artist/Album/Disc 1/track.mp3"


@pytest.mark.parametrize(
    ("group_by", "group"),
    [
        ("folder", "Artist/Album/Disc 1/"),
        ("1", "Artist/"),
        ("2", "Artist/Album/"),
        ("9", "Artist/Album/Disc 1/"),
        ("file", PATH),
    ],
)
def test_a_track_belongs_to_the_folder_asked_for(group_by: str, group: str) -> None:
    assert group_of(PATH, group_by) == group


@pytest.mark.parametrize("group_by", ["folder", "1", "file"])
def test_tracks_without_a_folder_stand_alone(group_by: str) -> None:
    assert group_of("a.mp3", group_by) == "a.mp3"


@pytest.mark.parametrize(("fraction", "group_by"), [(1.0, "folder"), (-0.1, "folder"), (0.1, "0"), (0.1, "artist")])
def test_invalid_options_are_errors(fraction: float, group_by: str) -> None:
    with pytest.raises(ValueError, match=r"--(valid-fraction|group-by) is .*, expected"):
        check_split(fraction, group_by)


def albums(count: int, tracks: int = 10) -> dict[str, int]:
    return {f"album {album}/{track}.mp3": 1000 for album in range(count) for track in range(tracks)}


def test_a_tenth_of_100_equal_albums_is_10_albums() -> None:
    assert len(held_out_groups(albums(100), 0.1, seed=0, group_by="folder")) == 10


def test_another_seed_holds_out_others_and_the_same_seed_the_same() -> None:
    draws = [held_out_groups(albums(100), 0.1, seed, "folder") for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_every_album_is_held_out_about_as_often() -> None:
    counts = Counter(group for seed in range(200) for group in held_out_groups(albums(20), 0.25, seed, "folder"))
    assert len(counts) == 20
    assert all(25 <= count <= 75 for count in counts.values())  # 50 expected, standard deviation 6


def test_if_no_album_fits_the_shortest_is_held_out() -> None:
    samples = {"a/1.mp3": 500, "b/1.mp3": 300, "c/1.mp3": 400}
    assert held_out_groups(samples, 0.01, 0, "folder") == {"b/"}


def test_nothing_is_held_out_of_a_share_of_zero() -> None:
    assert held_out_groups({"a/1.mp3": 5}, 0, 0, "folder") == set()


def test_a_single_album_cannot_be_split_and_the_message_says_how() -> None:
    with pytest.raises(ValueError, match=r"all 10 tracks belong to 'album 0/'.*--group-by file"):
        held_out_groups(albums(1), 0.1, 0, "folder")


@given(
    st.dictionaries(st.from_regex(r"[a-e]/[a-e]/[a-z]\.mp3", fullmatch=True), st.integers(1, 10**9), min_size=2),
    st.floats(0.001, 0.9),
    st.integers(0, 5),
)
def test_the_held_out_share_is_never_above_the_one_asked_for_unless_it_is_one_group(
    samples: dict[str, int], fraction: float, seed: int
) -> None:
    groups = {group_of(path, "1") for path in samples}
    if len(groups) < 2:
        return
    chosen = held_out_groups(samples, fraction, seed, "1")
    assert chosen
    assert chosen < groups
    share = sum(length for path, length in samples.items() if group_of(path, "1") in chosen) / sum(samples.values())
    assert share <= fraction + 1e-9 or len(chosen) == 1
