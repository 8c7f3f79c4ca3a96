"""What mert-import-hf writes starts a training like any checkpoint."""

import pytest
import torch
from hf.tiny_pretraining import save_published

from mert_fairseq.checkpointing.safe_loading import read_checkpoint
from mert_fairseq.hf.export import export_hf
from mert_fairseq.hf.folder_content import NewHeads
from mert_fairseq.hf.import_folder import import_hf
from mert_fairseq.hf.model_card import Statement


@pytest.mark.slow
def test_the_pretraining_continues_from_an_export_with_its_heads(train, tmp_path):
    first = train("optimization.max_update=4", save_dir="first")
    assert first.status == 0, first.output
    checkpoint = first.save_dir / "checkpoint_last.pt"
    export_hf(checkpoint, tmp_path / "folder", "hubert", Statement("tiny"), heads=True)
    import_hf(tmp_path / "folder", tmp_path / "imported.pt", NewHeads())
    update = ("optimization.max_update=1", "optimization.lr=[0.0001]", "lr_scheduler.warmup_updates=0")
    ways = {
        name: train(*update, f"checkpoint.finetune_from_model={path}", save_dir=name)
        for name, path in (("from_fairseq", checkpoint), ("from_folder", tmp_path / "imported.pt"))
    }
    for run in ways.values():
        assert run.status == 0, run.output
    assert ways["from_fairseq"].losses == ways["from_folder"].losses
    weights = [read_checkpoint(run.save_dir / "checkpoint_last.pt")["model"] for run in ways.values()]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.slow
def test_the_pretraining_continues_from_a_published_folder_with_new_heads(train, tmp_path):
    save_published(tmp_path / "folder")  # the sizes of this training's model
    import_hf(tmp_path / "folder", tmp_path / "imported.pt", NewHeads(labels=("rvq_0", "rvq_1"), codes=16))
    run = train(
        "optimization.max_update=2", f"checkpoint.finetune_from_model={tmp_path / 'imported.pt'}",
        "model.final_dim=64", "model.audio_cqt_bins=336",
    )  # fmt: skip
    assert run.status == 0, run.output
    assert sorted(run.losses) == [1, 2]
    assert "loading pretrained model from" in run.output
