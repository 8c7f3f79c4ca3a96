"""Cutting a manifest into shards."""

import numpy as np
import pytest

from mert_fairseq.label_extraction.parts import Shard


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
def test_every_track_is_in_one_shard(count: int) -> None:
    samples = np.random.default_rng(0).integers(1, 1000, 40)
    tracks = [track for index in range(count) for track in Shard(index, count).tracks(samples)]
    assert tracks == list(range(40))


def test_shards_hold_about_as_much_audio() -> None:
    samples = np.random.default_rng(0).integers(1, 1000, 4000)
    sizes = [samples[Shard(index, 8).tracks(samples)].sum() for index in range(8)]
    assert max(sizes) - min(sizes) <= 1000


def test_an_empty_manifest_has_empty_shards() -> None:
    assert list(Shard(0, 2).tracks(np.array([], dtype=np.int64))) == []


@pytest.mark.parametrize("text", ["2/2", "-1/2", "1", "a/b", "1/0", "0/-1"])
def test_senseless_shards_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected i/n with i from 0 to n - 1"):
        Shard.parse(text)


def test_a_shard_is_read_as_it_is_written() -> None:
    assert Shard.parse("3/16") == Shard(3, 16)
    assert str(Shard(3, 16)) == "3/16"
