"""Draws follow from (seed, epoch, track) and nothing else."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mert_fairseq.data.sampling import clip_draw, crop_start, shard_of_epoch


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 10**6), st.data())
def test_a_crop_fits_and_starts_on_a_label(place, size, data):
    length = data.draw(st.integers(1, size))
    start = crop_start(place, size, length, hop=320)
    assert start % 320 == 0
    assert 0 <= start <= size - length


def test_every_start_that_fits_is_drawn_equally_often():
    starts = [crop_start(place, 10 * 320 + 5, 6 * 320, hop=320) for place in (np.arange(500) + 0.5) / 500]
    assert np.bincount(np.array(starts) // 320).tolist() == [100] * 5


def test_draws_differ_by_seed_epoch_and_track_and_repeat():
    draws = {(s, e, t): clip_draw(s, e, t) for s in range(3) for e in range(3) for t in range(3)}
    assert len(set(draws.values())) == len({draw.clip_seed for draw in draws.values()}) == 27
    assert all(clip_draw(*key) == draw for key, draw in draws.items())


def test_shards_come_in_order_or_drawn_by_seed_and_epoch():
    assert [shard_of_epoch(1, epoch, 3, at_random=False) for epoch in range(1, 8)] == [0, 1, 2, 0, 1, 2, 0]
    drawn = [shard_of_epoch(1, epoch, 3, at_random=True) for epoch in range(1, 100)]
    assert set(drawn) == {0, 1, 2}
    assert drawn != [shard_of_epoch(2, epoch, 3, at_random=True) for epoch in range(1, 100)]
