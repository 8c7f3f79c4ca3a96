"""task.crops_per_epoch=by_seconds: an epoch covers long tracks completely."""

import numpy as np
import pytest
from numbered_corpus import HOP, write_corpus
from pretraining_task import load, make_task

from mert_fairseq.data.sampling import crops_of_tracks

CROP = 48_000  # of make_task
LENGTHS = [10 * CROP + 5, 30_000, 3 * CROP, CROP - 320]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"), LENGTHS)


def test_a_track_of_300_s_gives_as_many_crops_as_60_tracks_of_5_s():
    tracks, numbers, counts = crops_of_tracks(np.array([300, *[5] * 60]), 5)
    assert np.bincount(tracks).tolist() == [60, *[1] * 60]
    assert numbers[:60].tolist() == list(range(60))
    assert (counts[:60] == 60).all()
    assert (counts[60:] == 1).all()


def test_crops_of_one_epoch_cover_a_track_in_order(corpus):
    dataset = load(corpus, crops_per_epoch="by_seconds")
    assert np.bincount([dataset[index].track for index in range(len(dataset))]).tolist() == [10, 1, 3, 1]
    starts = [int(dataset[index].wave[0]) * HOP for index in range(10)]  # a sample's value is its label's number
    free = LENGTHS[0] - CROP  # where a crop may start
    assert all(number * free / 10 - HOP <= start <= (number + 1) * free / 10 for number, start in enumerate(starts))


def test_crops_are_the_same_after_a_resume_and_others_in_the_next_epoch(corpus):
    first, resumed = (load(corpus, crops_per_epoch="by_seconds", epoch=epoch) for epoch in (1, 2))
    before = [first[index].clip_seed for index in range(len(first))]
    first.set_epoch(2)
    again, other = ([each[index] for index in range(len(each))] for each in (first, resumed))
    assert [clip.clip_seed for clip in again] == [clip.clip_seed for clip in other]
    assert all((a.wave == b.wave).all() for a, b in zip(again, other, strict=True))
    assert not set(before) & {clip.clip_seed for clip in other}
    assert len(set(before)) == len(before)


def test_by_track_has_the_clip_seeds_of_the_first_release(corpus):
    dataset = load(corpus)
    assert len(dataset) == len(LENGTHS)
    assert dataset[0].clip_seed == 520615826334810394


def test_validation_keeps_one_crop_of_each_track(corpus):
    assert len(load(write_corpus(corpus, LENGTHS, "valid"), "valid", crops_per_epoch="by_seconds")) == len(LENGTHS)


def test_crops_follow_the_schedule_of_lengths(corpus):
    dataset = load(corpus, crops_per_epoch="by_seconds", dynamic_crops="[1]", dynamic_crops_epoches="[2]")
    assert len(dataset) == 15
    dataset.set_epoch(2)
    assert len(dataset) == 20 + 1 + 6 + 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crops_per_epoch": "by_hours"}, "found 'by_hours', expected by_track or by_seconds"),
        ({"crops_per_epoch": "by_seconds", "max_sample_size": None}, "by_seconds needs the length of a crop"),
    ],
)
def test_options_that_cannot_work_are_refused(corpus, options, message):
    with pytest.raises(ValueError, match=message):
        make_task(corpus, **options)
