"""A resume in the middle of an epoch uses each clip once, whatever batch size, ranks and update_freq it has."""

import copy
import logging
from itertools import chain

import numpy as np
import pytest
from fairseq.data import FairseqDataset
from fairseq.data.iterators import GroupedIterator

from mert_fairseq.data.epoch_iterator import BatchLimits, ClipBatchIterator
from mert_fairseq.data.sampling import padded_batches

CLIPS = 57
SIZES = np.random.default_rng(0).integers(50, 101, CLIPS)


class Clips(FairseqDataset):
    def __init__(self, sizes: np.ndarray = SIZES) -> None:
        self.sizes, self.epoch = sizes, 1

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> int:
        return index

    def collater(self, samples: list[int]) -> list[int]:
        return samples

    def ordered_indices(self) -> np.ndarray:
        return np.random.default_rng(self.epoch).permutation(len(self))

    def batch_by_size(self, indices, max_tokens=None, max_sentences=None, required_batch_size_multiple=1):
        return padded_batches(indices, self.sizes, max_tokens, max_sentences, required_batch_size_multiple, 1.0)


def iterator(limits: BatchLimits, rank: int = 0, ranks: int = 1, **options) -> ClipBatchIterator:
    return ClipBatchIterator(Clips(), limits, seed=7, num_shards=ranks, shard_id=rank, epoch=2, **options)


def train(
    limits: BatchLimits, ranks: int, update_freq: int, updates: int, state: dict | None = None
) -> tuple[list[list[int]], dict]:
    """The batches of all ranks in a number of updates, and the state that rank 0 saves then."""
    batches, saved = [], {}
    for rank in range(ranks):
        epoch = iterator(limits, rank, ranks)
        if state:
            epoch.load_state_dict({**copy.deepcopy(state), "update_freq": update_freq})
        steps = GroupedIterator(epoch.next_epoch_itr(), update_freq)
        for _ in range(updates):
            if steps.has_next():
                batches += next(steps)
        saved = saved or epoch.state_dict()
    return batches, saved


FIRST = (BatchLimits(500, None), 2, 2)  # 5 clips a batch: 12 batches


@pytest.mark.parametrize(
    ("limits", "ranks", "update_freq"),
    [
        FIRST,
        (BatchLimits(200, None), 2, 2),
        (BatchLimits(2_000, None), 2, 2),
        (BatchLimits(500, None), 1, 2),
        (BatchLimits(500, None), 3, 1),
        (BatchLimits(500, None), 2, 3),
        (BatchLimits(None, 7), 4, 5),
        (BatchLimits(1_000, None, 8), 1, 1),
    ],
)
def test_a_resume_uses_every_clip_of_the_epoch_once(limits, ranks, update_freq):
    before, state = train(*FIRST, updates=2)
    after, end = train(limits, ranks, update_freq, updates=99, state=state)
    assert len(before) == 8
    assert sorted(chain(*before, *after)) == list(range(CLIPS))
    assert (end["epoch"], end["iterations_in_epoch"]) == (3, 0)


def test_a_resume_with_the_same_batch_size_has_the_batches_of_an_uninterrupted_run():
    uninterrupted, _ = train(*FIRST, updates=99)
    before, state = train(*FIRST, updates=1)
    after, _ = train(*FIRST, updates=99, state=state)
    per_rank = len(uninterrupted) // 2
    assert before + after == [
        *uninterrupted[:2], *uninterrupted[per_rank : per_rank + 2],
        *uninterrupted[2:per_rank], *uninterrupted[per_rank + 2 :],
    ]  # fmt: skip


def test_a_resume_on_another_number_of_ranks_keeps_batches_and_order():
    uninterrupted, _ = train(BatchLimits(500, None), 1, 1, updates=99)
    _, state = train(BatchLimits(500, None), 3, 1, updates=1)
    after, _ = train(BatchLimits(500, None), 1, 1, updates=99, state=state)
    assert after == uninterrupted[3:]


def test_several_resumes_with_other_batches_in_one_epoch_still_use_each_clip_once():
    used, state = train(*FIRST, updates=1)
    for limits, ranks, update_freq in [
        (BatchLimits(200, None), 1, 3),
        (BatchLimits(300, None), 1, 1),
        (FIRST[0], 1, 1),
    ]:
        batches, state = train(limits, ranks, update_freq, updates=1, state=state)
        used += batches
    uninterrupted, _ = train(FIRST[0], 1, 1, updates=99, state=state)
    again, later = train(FIRST[0], 1, 1, updates=2, state=state)  # killed once more, now with the same batches
    rest, _ = train(FIRST[0], 1, 1, updates=99, state=later)
    assert again + rest == uninterrupted
    assert sorted(chain(*used, *uninterrupted)) == list(range(CLIPS))


@pytest.mark.parametrize("max_tokens", [500, 200])
def test_checkpoints_that_count_steps_continue_at_their_position(max_tokens):
    """fairseq's own iterator saves steps; the checkpoint holds the options of its run."""
    before, state = train(*FIRST, updates=2)
    del state["clips"]
    state["checkpoint"] = {"steps": state["iterations_in_epoch"], "ranks": 2, "limits": [500, None, 1]}
    after, _ = train(BatchLimits(max_tokens, None), 1, 1, updates=99, state=state)
    assert sorted(chain(*before, *after)) == list(range(CLIPS))


def test_progress_is_counted_in_steps_of_the_new_batch_size():
    _, state = train(BatchLimits(None, 5), 1, 1, updates=6)  # 30 of 57 clips
    resumed = iterator(BatchLimits(None, 3))
    resumed.load_state_dict(state)
    assert (resumed.iterations_in_epoch, len(resumed.next_epoch_itr())) == (10, 19)


def test_changed_data_restart_the_epoch_with_a_warning(caplog):
    _, state = train(*FIRST, updates=1)
    resumed = ClipBatchIterator(Clips(SIZES[:50]), FIRST[0], seed=7)
    with caplog.at_level(logging.WARNING):
        resumed.load_state_dict(state)
    assert "epoch 2: found 50 clips, but the checkpoint was saved in an epoch of 57" in caplog.text
    assert sorted(chain(*resumed.next_epoch_itr())) == list(range(50))


def test_the_epoch_after_a_resumed_one_has_all_clips():
    _, state = train(*FIRST, updates=1)
    resumed = iterator(FIRST[0])
    resumed.load_state_dict(state)
    assert len(list(chain(*resumed.next_epoch_itr()))) < CLIPS
    assert sorted(chain(*resumed.next_epoch_itr())) == list(range(CLIPS))
    assert resumed.epoch == 3


def test_grouped_shuffling_keeps_groups_of_ranks_and_loses_no_batch():
    epoch = iterator(BatchLimits(None, 5), ranks=5, grouped_shuffling=True)
    epoch.next_epoch_itr()
    assert sorted(chain(*epoch._batches)) == list(range(CLIPS))
    unshuffled = [batch.tolist() for batch in epoch.frozen_batches]
    groups = [unshuffled[0:5], unshuffled[5:10]]
    shuffled = [batch.tolist() for batch in epoch._batches]
    assert shuffled in ([*groups[0], *groups[1], *unshuffled[10:]], [*groups[1], *groups[0], *unshuffled[10:]])
