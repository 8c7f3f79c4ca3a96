"""Training through the stock command line, as users run it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training.conftest import SMALL

from mert_fairseq.checkpointing.safe_loading import read_checkpoint


def test_a_recipe_trains_saves_and_reads_back_without_trusting_pickle(train):
    run = train("optimization.max_update=4")
    assert run.status == 0, run.output
    assert sorted(run.losses) == [1, 2, 3, 4]
    state = read_checkpoint(run.save_dir / "checkpoint_last.pt")
    assert state["cfg"]["model"]["_name"] == "mert"
    assert not [key for key in state["model"] if "spec_layer" in key]
    assert all(torch.isfinite(value).all() for value in state["model"].values())
    assert "accuracy_m_0" in run.output
    assert "over_baseline_m_0" in run.output


@pytest.mark.slow
def test_a_local_sweep_trains_each_job_in_a_folder_of_its_own(repo_root, corpus_dir, tmp_path):
    done = subprocess.run(
        [Path(sys.executable).parent / "fairseq-hydra-train", "-m", f"--config-dir={repo_root}/config/pretrain",
         "--config-name=mert_95m", "+run=local", f"task.data={corpus_dir}", f"hydra.sweep.dir={tmp_path}", *SMALL,
         "optimization.max_update=2", "common.seed=1,2"],
        cwd=repo_root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    one, other = (read_checkpoint(tmp_path / f"{number}/checkpoint_last.pt") for number in (0, 1))
    assert (one["cfg"]["common"]["seed"], other["cfg"]["common"]["seed"]) == (1, 2)


def test_a_recipe_saves_and_validates_by_updates_however_short_its_epochs(train):
    """Six epochs of two updates: the recipe's own values end no epoch with a checkpoint or a validation."""
    run = train(
        "optimization.max_update=12", "checkpoint.save_interval_updates=5", "dataset.disable_validation=false",
        "dataset.validate_interval_updates=6",
    )  # fmt: skip
    assert run.status == 0, run.output
    assert '"epoch": 6' in run.output
    saved = {int(path.stem.split("_")[-1]) for path in run.save_dir.glob("checkpoint_*_*.pt")}
    assert saved == {5, 10}
    validated = [json.loads(line[line.index("{") :]) for line in run.output.splitlines() if "[valid]" in line]
    # A save within an epoch validates as well: 5 is one, 10 is the end of an epoch.
    assert [int(record["valid_num_updates"]) for record in validated if "valid_loss" in record] == [5, 6, 12]
