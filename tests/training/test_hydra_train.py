"""Training through the stock command line, as users run it."""

import torch

from mert_fairseq.models.checkpoint import read_checkpoint


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
