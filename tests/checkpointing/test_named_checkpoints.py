"""A checkpoint that the user names is used, or is an error with its name and Hydra's options."""

import logging
from types import SimpleNamespace

import pytest
import torch
from checkpointing.test_checkpoint_files import Model, checkpoint, truncate
from omegaconf import OmegaConf
from tiny_mert import tiny_mert

from mert_fairseq.checkpointing.checkpoint_search import CheckpointError
from mert_fairseq.checkpointing.resuming import load_with_fallback

FOLDER = {"save_dir": "", "restore_file": "checkpoint_last.pt", "finetune_from_model": None, "reset_optimizer": False}


class Criterion:
    pass


def load(folder, model=None, common=None, suffix="", **options):
    """The file to restore and the file to fine-tune from that fairseq's load_checkpoint gets."""
    cfg = OmegaConf.create({**FOLDER, "save_dir": str(folder), **options})
    trainer = SimpleNamespace(
        checkpoint_suffix=suffix,
        data_parallel_rank=0,
        data_parallel_world_size=1,
        get_model=lambda: model or Model(),
        get_criterion=Criterion,
        load_checkpoint=None,
        cfg=OmegaConf.create({"common": {"fp16": False, "bf16": False, **(common or {})}}),
    )
    return load_with_fallback(lambda chosen, trainer: (chosen.restore_file, chosen.finetune_from_model))(cfg, trainer)


OPTIONS = ["restore_file", "finetune_from_model", "continue_once"]


@pytest.mark.parametrize("option", OPTIONS)
def test_a_missing_checkpoint_never_starts_a_training_from_scratch(tmp_path, option):
    path = tmp_path / "none.pt"
    with pytest.raises(CheckpointError, match=rf"checkpoint\.{option}={path}: no such checkpoint \({path}\)"):
        load(tmp_path / "run", **{option: str(path)})


def test_a_missing_file_of_one_rank_is_reported_too(tmp_path):
    (tmp_path / "some-rank-0.pt").touch()
    assert load(tmp_path / "run", suffix="-rank-0", restore_file=str(tmp_path / "some.pt"))
    with pytest.raises(CheckpointError, match=r"some-rank-1\.pt: no such checkpoint"):
        load(tmp_path / "run", suffix="-rank-1", restore_file=str(tmp_path / "some.pt"))


def test_a_file_of_that_name_in_the_save_dir_is_suggested(tmp_path, monkeypatch):
    torch.save(checkpoint(8), tmp_path / "checkpoint_best.pt")
    monkeypatch.chdir("/")
    with pytest.raises(CheckpointError, match=rf"no such checkpoint.*Give {tmp_path}/checkpoint_best\.pt"):
        load(tmp_path, restore_file="checkpoint_best.pt")


@pytest.mark.parametrize("option", OPTIONS)
def test_a_truncated_checkpoint_is_named(tmp_path, option):
    path = tmp_path / "whole.pt"
    torch.save(checkpoint(8), path)
    assert load(tmp_path / "run", **{option: str(path)})
    truncate(path)
    with pytest.raises(CheckpointError, match=rf"checkpoint\.{option}: {path}: damaged, not a fairseq checkpoint"):
        load(tmp_path / "run", **{option: str(path)})


@pytest.mark.parametrize("option", OPTIONS)
def test_heads_of_other_labels_get_the_advice_to_set_pretrained_weights(tmp_path, option):
    path = tmp_path / "other.pt"
    torch.save(checkpoint(8) | {"model": tiny_mert().state_dict()}, path)
    with pytest.raises(
        CheckpointError,
        match=rf"checkpoint\.{option}: {path}: belongs to another model: final_proj\.bias has shape \(16,\), "
        rf"expected \(6,\)\. "
        rf"Only its heads differ, as with other labels\. To start from its conv stack and Transformer with new heads, "
        rf"set \+model\.pretrained_weights={path}",
    ):
        load(tmp_path / "run", tiny_mert(final_dim=6), **{option: str(path)})


def test_the_last_checkpoint_of_other_labels_gets_that_advice_too(tmp_path):
    torch.save(checkpoint(8) | {"model": tiny_mert().state_dict()}, tmp_path / "checkpoint_last.pt")
    with pytest.raises(
        CheckpointError, match=r"none that this run can cont.*set \+model\.pretrained_weights=.*Move them away"
    ):
        load(tmp_path, tiny_mert(final_dim=6))


def test_a_restored_file_that_replaces_the_runs_own_checkpoint_is_logged(tmp_path, caplog):
    for name in ("checkpoint_last", "other"):
        torch.save(checkpoint(8), tmp_path / f"{name}.pt")
    with caplog.at_level(logging.WARNING):
        restored, _ = load(tmp_path, restore_file=str(tmp_path / "other.pt"))
    assert restored == str(tmp_path / "other.pt")
    assert f"starting from checkpoint.restore_file={tmp_path}/other.pt, not from {tmp_path}/checkp" in caplog.text


@pytest.mark.parametrize(
    ("saved", "current", "message"),
    [
        ({}, {"bf16": True}, "trained with common.bf16=false, but this run has common.bf16=true"),
        ({"fp16": True}, {}, "trained with common.fp16=true, but this run has common.fp16=false"),
        (
            {"fp16": True},
            {"bf16": True},
            "trained with common.fp16=true common.bf16=false, but this run has common.fp16=false common.bf16=true",
        ),
    ],
)
def test_another_precision_is_refused_with_the_options_of_hydra(tmp_path, saved, current, message):
    state = checkpoint(8)
    state["cfg"]["common"] = {"fp16": False, "bf16": False, **saved}
    torch.save(state, tmp_path / "checkpoint_last.pt")
    assert load(tmp_path, common=saved)
    with pytest.raises(CheckpointError, match=message) as error:
        load(tmp_path, common=current)
    assert "checkpoint.reset_optimizer=true" in str(error.value)
    assert "--" not in str(error.value)
    assert load(tmp_path, common=current, reset_optimizer=True)


def test_another_criterion_is_refused_with_the_option_of_hydra(tmp_path):
    state = checkpoint(8)
    state["optimizer_history"][0]["criterion_name"] = "HubertCriterion"
    torch.save(state, tmp_path / "checkpoint_last.pt")
    with pytest.raises(
        CheckpointError, match=r"criterion HubertCriterion, but this run has Criterion \(criterion\._na"
    ):
        load(tmp_path)
