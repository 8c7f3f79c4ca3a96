"""Hours of audio heard: counted without padding, over training alone, and across a resume."""

import numpy as np
import pytest
import torch
from fairseq.logging import metrics
from numbered_corpus import write_corpus
from pretraining_task import make_task

from mert_fairseq.tasks.audio_counter import AudioCounter, clip_samples


@pytest.fixture(autouse=True)
def no_meters():
    metrics.reset()


def test_padding_does_not_count():
    source, lengths = torch.zeros(2, 100), np.array([100, 60])
    assert clip_samples({"net_input": {"source": source, "lengths": lengths}}) == 160
    assert clip_samples({"net_input": {"source": source}}) == 200
    assert clip_samples({}) == 0


def test_hours_add_up_over_ranks_and_updates_and_the_last_total_is_shown():
    counter = AudioCounter(sample_rate=10)
    with metrics.aggregate() as shown:
        counter.log([{"audio_samples": 18_000}, {"audio_samples": 18_000}])  # 2 ranks, half an hour each
        counter.log([{"audio_samples": 36_000}])
    assert shown.get_smoothed_values()["audio_hours"] == 2.0


def test_a_validation_does_not_count():
    counter = AudioCounter(sample_rate=10)
    with metrics.aggregate() as shown:
        counter.log([{"loss": 1.0}])
    assert not shown
    assert counter.seconds == 0


def test_a_checkpoint_holds_the_total(tmp_path):
    write_corpus(tmp_path, [48_000, 48_000])
    first, resumed = make_task(tmp_path), make_task(tmp_path)
    for task in (first, resumed):
        with metrics.aggregate() as shown:
            task._audio.log([{"audio_samples": 24_000 * 3600}])
        saved = first.get_checkpoint_dict()
        assert saved == {"MERTPretrainingTask": {"audio_seconds": 3600.0}}  # fairseq looks it up by the task's class
        resumed.set_checkpoint_dict(saved["MERTPretrainingTask"])
    assert shown.get_smoothed_values()["audio_hours"] == 2.0
