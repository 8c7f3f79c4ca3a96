"""A killed run goes on from its last checkpoint, with an undisturbed run's batches, masks, mixtures and dropout."""

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
def test_losses_after_sigkill_equal_those_of_the_undisturbed_run(train):
    undisturbed = train(*UPDATES, save_dir="undisturbed")
    assert undisturbed.status == 0, undisturbed.output

    # Four updates an epoch: the save at update 6 lies in the middle of epoch 2.
    dies_at_8 = [sys.executable, str(Path(__file__).with_name("train_and_die.py")), "8"]
    killed = train(*UPDATES, save_dir="killed", launcher=dies_at_8)
    assert killed.status == -signal.SIGKILL
    assert max(killed.losses) == 7

    resumed = train(*UPDATES, save_dir="killed")
    assert resumed.status == 0, resumed.output
    assert re.search(r"Loaded checkpoint .*checkpoint_last.pt \(epoch 2 @ 6 updates\)", resumed.output)
    assert {u: resumed.losses[u] for u in range(7, 11)} == {u: undisturbed.losses[u] for u in range(7, 11)}


@pytest.mark.slow
def test_mask_schedule_is_in_its_stage_after_a_resume(train):
    schedule = ["+model.mask_dynamic_prob='[0.1, 0.9]'", "+model.mask_dynamic_prob_step='[5]'"]
    first = train("optimization.max_update=6", *schedule)
    second = train("optimization.max_update=8", *schedule)
    shares = [float(s) for s in re.findall(r'train_inner.*"masked_share": "([\d.]+)"', first.output + second.output)]
    assert len(shares) == 8
    assert max(shares[:5]) < 0.2
    assert min(shares[5:]) > 0.5
