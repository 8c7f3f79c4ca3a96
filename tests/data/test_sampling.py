"""Random numbers depend on (seed, epoch, track) only; batches hold each clip once, within their limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mert_fairseq.data.sampling import (
    bucketed_order,
    clip_draw,
    crop_start,
    padded_batches,
    padding_share,
    shard_of_epoch,
)

SIZES = st.lists(st.integers(1, 100_000), min_size=1, max_size=60).map(np.array)


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


@given(SIZES, st.integers(1, 20), st.sampled_from([None, 1, 7]), st.integers(1, 8), st.integers(0, 9))
def test_every_clip_is_in_one_batch_within_the_limits(sizes, longest_clips, max_clips, multiple, seed):
    max_samples = int(sizes.max()) * longest_clips
    order = bucketed_order(sizes, np.random.default_rng(seed))
    batches = padded_batches(order, sizes, max_samples, max_clips, multiple)
    np.testing.assert_array_equal(np.concatenate(batches), order)
    for batch in batches:
        assert sizes[batch].max() * len(batch) <= max_samples
        assert len(batch) <= (max_clips or len(batch))
        assert len(batch) < multiple or len(batch) % multiple == 0
        assert 1 - sizes[batch].sum() / (sizes[batch].max() * len(batch)) <= 0.05 + 1e-12
    assert padding_share(batches, sizes) <= 0.05 + 1e-12


@given(SIZES)
def test_without_shuffling_the_longest_come_first_and_equals_keep_their_order(sizes):
    order = bucketed_order(sizes, None)
    assert order.tolist() == sorted(range(len(sizes)), key=lambda clip: -sizes[clip])


@given(SIZES, st.integers(0, 9))
def test_shuffling_keeps_neighbours_within_5_percent(sizes, seed):
    ordered = sizes[bucketed_order(sizes, np.random.default_rng(seed))]
    longest_after = np.maximum.accumulate(ordered[::-1])[::-1]
    assert (ordered * 1.05 * (1 + 1e-9) >= longest_after).all()


def test_shuffling_changes_the_batches_of_an_epoch():
    sizes = np.random.default_rng(0).integers(24_000, 720_000, 2000)
    first, second = (
        padded_batches(bucketed_order(sizes, np.random.default_rng(seed)), sizes, 2_000_000, None) for seed in (1, 2)
    )
    together = [
        {frozenset((batch[0], other)) for batch in batches for other in batch[1:]} for batches in (first, second)
    ]
    assert len(together[0] & together[1]) < 0.3 * len(together[0])


def test_the_padding_of_a_corpus_is_as_worked_out_by_hand():
    sizes = np.array([100, 90, 100])
    assert padding_share([np.array([0, 1]), np.array([2])], sizes) == pytest.approx(10 / 300)
