"""Parts of a label job."""

import numpy as np
import pytest

from mert_fairseq.label_extraction.part_journal import Part


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
def test_every_track_is_in_one_part(count: int) -> None:
    samples = np.random.default_rng(0).integers(1, 1000, 40)
    tracks = [track for index in range(count) for track in Part(index, count).tracks(samples)]
    assert tracks == list(range(40))


def test_parts_hold_about_the_same_amount_of_audio() -> None:
    samples = np.random.default_rng(0).integers(1, 1000, 4000)
    sizes = [samples[Part(index, 8).tracks(samples)].sum() for index in range(8)]
    assert max(sizes) - min(sizes) <= 1000


def test_an_empty_manifest_has_empty_parts() -> None:
    assert list(Part(0, 2).tracks(np.array([], dtype=np.int64))) == []


@pytest.mark.parametrize("text", ["2/2", "-1/2", "1", "a/b", "1/0", "0/-1"])
def test_an_impossible_part_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="expected i/n with i from 0 to n - 1"):
        Part.parse(text)


def test_a_part_is_parsed_from_its_text() -> None:
    assert Part.parse("3/16") == Part(3, 16)
    assert str(Part(3, 16)) == "3/16"
