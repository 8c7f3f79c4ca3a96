"""Ranks use each clip once: also if the number does not divide, and after a resume on another number of ranks."""

from collections import Counter
from itertools import chain

import pytest
from fairseq import tasks
from numbered_corpus import COLUMNS, write_corpus
from omegaconf import OmegaConf

from mert_fairseq.checkpointing.resuming import add_resume_position
from mert_fairseq.tasks.pretraining_config import MERTPretrainingConfig

CLIPS = 11  # in batches of two: five and a rest of one


@pytest.fixture
def folder(tmp_path):
    write_corpus(tmp_path, [48_000] * CLIPS, "train_0_2")
    write_corpus(tmp_path, [48_000] * 3, "train_1_2")
    return write_corpus(tmp_path, [48_000] * CLIPS)


def clips_of(
    folder, rank: int, ranks: int, epoch: int = 1, state: dict | None = None, max_tokens: int = 48_000, **options
) -> list[list[int]]:
    """The track numbers of each step of one rank in one epoch."""
    settings = {
        "_name": "mert_pretraining", "data": str(folder), "labels": list(COLUMNS), "label_rate": 75.0,
        "sample_rate": 24_000, "max_sample_size": 24_000, "seed": 7, "train_subset": "train", **options,
    }  # fmt: skip
    task = tasks.setup_task(OmegaConf.merge(OmegaConf.structured(MERTPretrainingConfig), settings))
    task.load_dataset("train", epoch=epoch)
    dataset = task.dataset("train")
    batches = task.get_batch_iterator(
        dataset, max_tokens=max_tokens, num_shards=ranks, shard_id=rank, seed=7, epoch=epoch
    )
    if state:
        batches.load_state_dict({"version": 2, "shuffle": True, **state})
    steps = batches.next_epoch_itr(shuffle=True)
    return [step["id"].tolist() if step else [] for step in steps]


@pytest.mark.parametrize("ranks", [1, 2, 4, 5])
def test_each_clip_belongs_to_one_rank_and_all_ranks_make_the_same_number_of_steps(folder, ranks):
    by_rank = [clips_of(folder, rank, ranks) for rank in range(ranks)]
    assert Counter(clip for steps in by_rank for step in steps for clip in step) == Counter(range(CLIPS))
    assert {len(steps) for steps in by_rank} == {-(-6 // ranks)}  # six batches


@pytest.mark.parametrize(("saved_ranks", "ranks"), [(2, 2), (2, 1), (1, 2), (2, 4), (4, 2), (2, 3)])
@pytest.mark.parametrize("max_tokens", [48_000, 72_000, 24_000])
def test_a_resume_on_other_ranks_or_with_other_batches_uses_each_clip_once(folder, saved_ranks, ranks, max_tokens):
    done = 1 if saved_ranks > 1 else 2  # steps
    before = [
        clip for rank in range(saved_ranks) for step in clips_of(folder, rank, saved_ranks)[:done] for clip in step
    ]
    state = {"epoch": 1, "iterations_in_epoch": done}
    cfg = {"distributed_training": {"distributed_world_size": saved_ranks}, "dataset": {"max_tokens": 48_000}}
    add_resume_position(state, cfg, ranks, [1])
    after = [
        clip
        for rank in range(ranks)
        for step in clips_of(folder, rank, ranks, state=dict(state), max_tokens=max_tokens)
        for clip in step
    ]
    assert Counter(before + after) == Counter(range(CLIPS))


def test_a_resumed_epoch_of_a_sharded_corpus_reads_its_own_shard(folder):
    """Shards in order: epoch 1 has eleven clips, epoch 2 three."""
    options = {"sharding_data": 2, "load_random_data_shard": False}
    first, second = (sorted(chain(*clips_of(folder, 0, 1, epoch, **options))) for epoch in (1, 2))
    assert sorted([len(first), len(second)]) == [3, CLIPS]
    rest = clips_of(folder, 0, 1, 2, {"epoch": 2, "iterations_in_epoch": 1}, **options)
    assert rest == clips_of(folder, 0, 1, 2, **options)[1:]
