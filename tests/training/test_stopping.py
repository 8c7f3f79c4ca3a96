"""Runs that get a stop signal, or lose a rank, their last checkpoint or disk space, continue without loss."""

import resource
import sys
from pathlib import Path

import pytest
import torch
from training.conftest import torchrun

from mert_fairseq.checkpointing.safe_loading import read_checkpoint

pytestmark = pytest.mark.slow

# Four updates per epoch on one rank; the only saves are the last one and those that a test causes.
UPDATES = [
    "optimization.max_update=10",
    "dataset.max_tokens=48000",
    "checkpoint.save_interval_updates=100",
    "checkpoint.save_interval=99",
]
TWO_RANKS = ["distributed_training.distributed_world_size=2"]


def send_signal(update: int, signal: str, rank: int = 0) -> list[str]:
    return [str(Path(__file__).with_name("train_and_signal.py")), str(update), signal, str(rank)]


def weights(run) -> dict[str, torch.Tensor]:
    return read_checkpoint(run.save_dir / "checkpoint_last.pt")["model"]


@pytest.fixture
def uninterrupted(train):
    run = train(*UPDATES, save_dir="uninterrupted")
    assert run.status == 0, run.output
    return run


@pytest.mark.parametrize(("signal", "status", "workers"), [("SIGTERM", 143, 2), ("SIGUSR2", 140, 0)])
def test_a_run_saves_on_a_stop_signal_and_a_resume_is_equal_bit_for_bit(train, uninterrupted, signal, status, workers):
    stopped = train(
        *UPDATES,
        f"dataset.num_workers={workers}",
        save_dir="stopped",
        launcher=[sys.executable, *send_signal(6, signal)],
        timeout=100,
    )
    assert stopped.status == status, stopped.output
    assert max(stopped.losses) == 6
    resumed = train(*UPDATES, save_dir="stopped")
    assert resumed.status == 0, resumed.output
    assert "(epoch 2 @ 6 updates)" in resumed.output
    assert {**stopped.losses, **resumed.losses} == uninterrupted.losses
    assert all(torch.equal(value, weights(resumed)[name]) for name, value in weights(uninterrupted).items())


def test_a_signal_to_one_rank_stops_all_and_any_number_of_ranks_can_resume(train):
    straight = train(*UPDATES, *TWO_RANKS, save_dir="straight")
    assert straight.status == 0, straight.output
    stopped = train(*UPDATES, save_dir="stopped", launcher=[*torchrun(2), *send_signal(5, "SIGUSR2", rank=1)])
    assert max(stopped.losses) == 6  # rank 1 got the signal after update 5, and the ranks agree within the next update
    (stopped.save_dir / "alone").mkdir()
    (stopped.save_dir / "alone/checkpoint_last.pt").write_bytes((stopped.save_dir / "checkpoint_last.pt").read_bytes())

    resumed = train(*UPDATES, *TWO_RANKS, save_dir="stopped")
    assert resumed.status == 0, resumed.output
    for name, value in weights(straight).items():
        torch.testing.assert_close(weights(resumed)[name], value, rtol=0, atol=1e-6, msg=name)

    alone = train(*UPDATES, save_dir="stopped/alone")
    assert alone.status == 0, alone.output
    # Two ranks make two updates per epoch: after update 6 epoch 3 is done.
    assert "(epoch 4 @ 6 updates)" in alone.output
    assert sorted(alone.losses) == [7, 8, 9, 10]


def test_a_hanging_rank_ends_the_others_after_the_timeout(train):
    """Rank 1 hangs after update 3; rank 0 ends with an error after the timeout of 5 s, not after gloo's half hour."""
    waiting = train(
        *UPDATES, "distributed_training.heartbeat_timeout=5", save_dir="waiting",
        launcher=[*torchrun(2), *send_signal(3, "SIGSTOP", rank=1)], timeout=120,
    )  # fmt: skip
    assert waiting.status == 1
    assert max(waiting.losses) == 3
    assert "LostRankError: rank 0 lost another rank, which ended or did not respond within 5 s" in waiting.output


def test_a_killed_rank_ends_the_others_and_costs_the_updates_since_the_last_save(train):
    saving = [*UPDATES, "checkpoint.save_interval_updates=2"]
    killed = train(*saving, save_dir="killed", launcher=[*torchrun(2), *send_signal(5, "SIGKILL", rank=1)], timeout=60)
    assert killed.status == 1
    resumed = train(*saving, *TWO_RANKS, save_dir="killed")
    assert resumed.status == 0, resumed.output
    assert sorted(resumed.losses) == [5, 6, 7, 8, 9, 10]  # 4 was saved


def test_a_rank_that_never_starts_is_an_error_after_the_timeout(train):
    alone = train(
        *TWO_RANKS, "distributed_training.distributed_init_method=tcp://127.0.0.1:29735",
        "distributed_training.distributed_no_spawn=true", "distributed_training.distributed_rank=0",
        "distributed_training.heartbeat_timeout=3", timeout=60,
    )  # fmt: skip
    assert alone.status == 1
    assert "LayoutError: rank 0 of 2 waited up to 3 s" in alone.output


def test_a_stop_signal_ends_a_validation(train):
    stopped = train(
        *UPDATES, "dataset.disable_validation=false", "dataset.validate_interval=99",
        "dataset.validate_interval_updates=6", save_dir="stopped",
        launcher=[sys.executable, str(Path(__file__).with_name("validate_and_signal.py"))],
    )  # fmt: skip
    assert stopped.status == 143, stopped.output
    assert read_checkpoint(stopped.save_dir / "checkpoint_last.pt")["optimizer_history"][-1]["num_updates"] == 6


def test_a_truncated_checkpoint_costs_the_updates_since_the_one_before(train, uninterrupted):
    saving = [*UPDATES, "checkpoint.save_interval_updates=3", "checkpoint.keep_interval_updates=2"]
    first = train(*saving, "optimization.max_update=7", "lr_scheduler.total_num_update=10", save_dir="truncated")
    assert first.status == 0, first.output
    last = first.save_dir / "checkpoint_last.pt"
    last.write_bytes(last.read_bytes()[:100_000])
    resumed = train(*saving, save_dir="truncated")
    assert resumed.status == 0, resumed.output
    assert "cannot continue from the last checkpoint" in resumed.output
    assert min(resumed.losses) == 7  # 6 was saved
    assert resumed.losses[10] == uninterrupted.losses[10]


def test_training_continues_with_a_full_disk_and_ends_with_a_failure(train, uninterrupted):
    """Files are limited to 100 kB: enough for logs, too small for a checkpoint."""
    full = train(
        *UPDATES, "checkpoint.save_interval_updates=5", save_dir="full",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )  # fmt: skip
    assert full.losses == uninterrupted.losses
    assert "NOT SAVED at update 5" in full.output
    assert "the last checkpoint was not saved" in full.output
    assert full.status == 1
    assert not list(full.save_dir.glob("*checkpoint*"))
