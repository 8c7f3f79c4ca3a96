"""Updates log the same values as fairseq alone, with one collective and one read, which also carry stop signals."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairseq.logging import metrics
from fairseq.trainer import Trainer
from tiny_mert import tiny_mert
from tiny_trainer import Layers, Square, Task, config, make_trainer, mert_criterion, mert_sample, train
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from mert_fairseq.distributed import fairseq_patches, gradient_norm, training_stats
from mert_fairseq.distributed.stopping import SIGNALS, Stop

INTERVAL = 4


def _logged(monkeypatch, tmp_path, patched: bool) -> list[dict]:
    """fairseq's log after 4 and 8 updates, and the means of the epoch after 10."""
    metrics.reset()
    with monkeypatch.context() as patch:
        torch.manual_seed(0)
        model = tiny_mert(dropout=0.0, encoder_layerdrop=0.0)
        cfg = config("float32", common__log_interval=INTERVAL)
        trainer = make_trainer(patch, tmp_path, cfg, model, mert_criterion(), patched=patched)
        printed = []
        with metrics.aggregate("train"):
            for update in range(1, 11):
                with metrics.aggregate("train_inner"):
                    trainer.train_step([mert_sample()] * (1 + update % 2))
                if update % INTERVAL == 0:
                    printed.append(metrics.get_smoothed_values("train_inner"))
                    metrics.reset_meters("train_inner")
            training_stats.flush(trainer)
        return [*printed, metrics.get_smoothed_values("train"), metrics.get_smoothed_values("train_inner")]


def test_the_log_equals_that_of_fairseq_which_reads_every_update(monkeypatch, tmp_path):
    read_late, read_at_once = (_logged(monkeypatch, tmp_path, patched) for patched in (True, False))
    clocks = ("ups", "wps", "train_wall")
    for late, at_once in zip(read_late, read_at_once, strict=True):
        assert list(late) == list(at_once), "same names in the same order"
        assert {"loss", "accuracy_m_1", "cqt_pred_m", "masked_share", "gnorm", "wpb", "bsz"} <= late.keys()
        for name in late.keys() - set(clocks):
            assert float(late[name]) == pytest.approx(float(at_once[name]), rel=1e-5), name
        assert 0 < late["ups"] < 1000, "the clock started with the first update, not with the first read"
        assert late["ups"] < 10 * at_once["ups"]


@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
def test_an_update_reads_only_the_norm_from_the_device(monkeypatch, tmp_path, precision):
    """Forward, criterion, backward and optimizer in fake tensors, where reading any value is an error."""
    metrics.reset()
    model = tiny_mert(encoder_layerdrop=0.0, skip_nomask=True)
    cfg = config(precision, common__log_interval=100)
    trainer = make_trainer(monkeypatch, tmp_path, cfg, model, mert_criterion())
    assert trainer.optimizer
    trainer.unread = []  # as after the first update
    sample = mert_sample()
    sample["net_input"]["clip_seeds"] = np.arange(2)
    norms = []
    with FakeTensorMode(allow_non_fake_inputs=True):
        with pytest.raises(DataDependentOutputException):
            trainer.train_step([sample])
        monkeypatch.setattr(gradient_norm, "_read", lambda trainer, norm: norms.append(norm) or torch.tensor(1.0))
        for _ in range(3):
            trainer.train_step([sample])
    assert len(norms) == len(trainer.unread) == 3


def test_scalars_are_read_together_and_other_values_are_unchanged():
    logs = [[{"a": torch.tensor(3), "b": 2, "c": torch.tensor([1.0, 2.0])}], [{"a": torch.tensor(0.5)}] * 2]
    first, second = training_stats.read_logs(logs)
    assert (first[0]["a"], first[0]["b"]) == (3.0, 2)
    assert torch.is_tensor(first[0]["c"])
    assert second == [{"a": 0.5}] * 2


@pytest.fixture
def two_ranks(monkeypatch):
    """A trainer of two ranks; the second one always has the same values."""
    for owner, name, replacement in fairseq_patches.TRAINING:
        monkeypatch.setattr(owner, name, replacement)
    collectives = []

    def all_reduce(tensor, group=None):
        collectives.append(tensor.numel())
        tensor *= 2

    monkeypatch.setattr(training_stats.fairseq_distributed, "all_reduce", all_reduce)
    monkeypatch.setattr(training_stats, "STOP", Stop())
    trainer = Trainer.__new__(Trainer)
    trainer.device, trainer.cfg = (
        torch.device("cpu"),
        SimpleNamespace(distributed_training=SimpleNamespace(distributed_world_size=1)),
    )
    trainer.task, trainer._criterion = Task(), Square()
    return trainer, collectives


def test_logs_numbers_and_signals_of_all_ranks_are_summed_in_one_collective(two_ranks):
    trainer, collectives = two_ranks
    logs = [{"n": 5, "loss": torch.tensor(1.5), "m": 1}, {"n": 2, "loss": torch.tensor(0.25), "m": 1}]
    summed, extra = trainer._aggregate_logging_outputs(logs, 7.0, 0)
    assert extra == [14.0, 0.0]
    assert list(summed[0]) == ["n", "loss", "m"]
    assert (summed[0]["n"], summed[0]["m"]) == (14.0, 4.0)
    assert torch.is_tensor(summed[0]["loss"]), "not read"
    assert summed[0]["loss"].item() == 3.5
    assert collectives == [2 + 2 + 2 + 1]


def test_a_rank_without_a_batch_adds_only_its_stop_flags(two_ranks):
    trainer, _ = two_ranks
    training_stats.STOP.signal = SIGNALS[0]
    summed, extra = trainer._aggregate_logging_outputs([{"n": 5, "loss": torch.tensor(math.nan)}], 0.0, ignore=True)
    assert extra == [0.0]
    assert (summed[0]["n"], summed[0]["loss"].item()) == (0.0, 0.0)
    assert training_stats.STOP.agreed_signal(SimpleNamespace(data_parallel_world_size=2)) == SIGNALS[0]


def test_ranks_agree_to_stop_with_the_next_sums_and_not_before(two_ranks):
    trainer, _ = two_ranks
    stop, two = training_stats.STOP, SimpleNamespace(data_parallel_world_size=2)
    for signals, expected in (((), 0), (SIGNALS[:1], SIGNALS[0]), (SIGNALS, max(SIGNALS))):
        stop.set_summed_flags([float(number in signals) for number in SIGNALS])
        assert stop.agreed_signal(two) == expected
    stop.set_summed_flags([0.0, 0.0])
    stop.signal = SIGNALS[1]
    assert stop.agreed_signal(two) == 0, "other ranks do not know yet"
    assert stop.agreed_signal(SimpleNamespace(data_parallel_world_size=1)) == SIGNALS[1]
    trainer._aggregate_logging_outputs([], 1.0)
    assert stop.agreed_signal(two) == SIGNALS[1]


def test_all_values_are_read_before_a_validation(monkeypatch, tmp_path):
    metrics.reset()
    trainer = make_trainer(monkeypatch, tmp_path, config("float32", common__log_interval=100), Layers(), Square())
    train(trainer, range(3))
    assert len(trainer.unread) >= 2
    validate = training_stats.flush_before_validation(lambda cfg, trainer, *_: [len(trainer.unread)])
    assert validate(None, trainer, None, None, []) == [0]


def test_all_values_are_read_before_a_checkpoint_and_at_the_end_of_an_epoch(monkeypatch, tmp_path):
    metrics.reset()
    cfg = config("float32", common__log_interval=100)
    trainer = make_trainer(monkeypatch, tmp_path, cfg, Layers(), Square())
    for wrapped, args in (
        (training_stats.flush_before_save(lambda *_: "saved"), (None, trainer, None, None)),
        (training_stats.flush_after_epoch(lambda *_: ([None], True)), (None, trainer, None, None, [], False)),
        (training_stats.flush_after_epoch(lambda *_: ([None], False)), (None, trainer, None, None, [], True)),
    ):
        train(trainer, range(3))
        assert len(trainer.unread) >= 2
        wrapped(*args)
        assert not trainer.unread
    training_stats.flush_after_epoch(lambda *_: ([None], False))(None, trainer, None, None, [], False)
