"""A killed run resumes from its last checkpoint with the same batches, masks, mixtures and dropout."""

import re
import signal
import sys
from pathlib import Path

import pytest

UPDATES = [
    "optimization.max_update=10",
    "dataset.max_tokens=48000",
    "checkpoint.save_interval_updates=6",
    "checkpoint.save_interval=99",
]


@pytest.mark.slow
def test_losses_after_sigkill_equal_those_of_the_uninterrupted_run(train):
    uninterrupted = train(*UPDATES, save_dir="uninterrupted")
    assert uninterrupted.status == 0, uninterrupted.output

    # Four updates per epoch: the save at update 6 is in the middle of epoch 2.
    dies_at_8 = [sys.executable, str(Path(__file__).with_name("train_and_die.py")), "8"]
    killed = train(*UPDATES, save_dir="killed", launcher=dies_at_8)
    assert killed.status == -signal.SIGKILL
    assert max(killed.losses) == 7

    resumed = train(*UPDATES, save_dir="killed")
    assert resumed.status == 0, resumed.output
    assert re.search(r"Loaded checkpoint .*checkpoint_last.pt \(epoch 2 @ 6 updates\)", resumed.output)
    assert {u: resumed.losses[u] for u in range(7, 11)} == {u: uninterrupted.losses[u] for u in range(7, 11)}


@pytest.mark.slow
def test_the_mask_schedule_keeps_its_stage_after_a_resume(train):
    schedule = ["+model.mask_dynamic_prob='[0.1, 0.9]'", "+model.mask_dynamic_prob_step='[5]'"]
    first = train("optimization.max_update=6", *schedule)
    second = train("optimization.max_update=8", *schedule)
    shares = [float(s) for s in re.findall(r'train_inner.*"masked_share": "([\d.]+)"', first.output + second.output)]
    assert len(shares) == 8
    assert max(shares[:5]) < 0.2
    assert min(shares[5:]) > 0.5


@pytest.mark.slow
def test_a_resume_with_another_batch_size_uses_the_remaining_clips(train):
    """Eight clips, two per batch: update 4 ends epoch 1, and update 6 is in the middle of epoch 2."""
    first = train(*UPDATES, "optimization.max_update=6", "checkpoint.save_interval_updates=2")
    assert first.status == 0, first.output
    assert {"checkpoint_1_2.pt", "checkpoint_1_4.pt"} <= {path.name for path in first.save_dir.iterdir()}
    resumed = train(*UPDATES, "dataset.max_tokens=24000")
    assert resumed.status == 0, resumed.output
    assert "epoch 2: continues after 4 of 8 clips, with batches of a different size" in resumed.output
    ends = re.findall(r'\[train\]\[INFO\] - \{"epoch": (\d).*"train_num_updates": "(\d+)"', resumed.output)
    assert ends == [("2", "10")]  # four clips, one per batch


@pytest.mark.slow
def test_a_second_iteration_starts_from_the_first_under_new_heads(train):
    first = train("optimization.max_update=2", save_dir="first")
    assert first.status == 0, first.output
    donor = first.save_dir / "checkpoint_last.pt"
    other = ["optimization.max_update=2", "task.labels=[rvq_0]"]
    refused = train(*other, f"checkpoint.finetune_from_model={donor}", save_dir="refused")
    assert refused.status != 0
    assert f"set +model.pretrained_weights={donor}" in refused.output
    second = train(*other, f"+model.pretrained_weights={donor}", save_dir="second")
    assert second.status == 0, second.output
    assert re.search(r"conv stack (\d+) of \1, Transformer (\d+) of \2, heads 2 of 5", second.output)
