"""Batches hold every clip once, like with like, within their limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mert_fairseq.data.batches import bucketed_order, padded_batches, padding_share

SIZES = st.lists(st.integers(1, 100_000), min_size=1, max_size=60).map(np.array)


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
