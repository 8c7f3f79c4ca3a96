"""Configurations that are refused before any rank starts, and Hydra's option names in fairseq's errors."""

from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from mert_fairseq.distributed.config_checks import add_hydra_names, hydra_names
from mert_fairseq.distributed.launch import call_main
from mert_fairseq.distributed.rank_layout import LayoutError


@pytest.mark.parametrize(
    ("common", "world_size", "message"),
    [
        ({"fp16": True}, 1, "common.fp16 needs GPUs.*common.cpu=true common.fp16=false"),
        ({"fp16": True, "cpu": True}, 1, "common.fp16 needs GPUs"),
        ({}, 2, "rank 0 of 2 sees no GPU.*set common.cpu=true"),
        ({"user_dir": "/elsewhere/mert_fairseq"}, 1, "the installed mert_fairseq is in"),
    ],
)
def test_configurations_that_cannot_train_are_refused(
    monkeypatch, common: dict[str, Any], world_size: int, message: str
):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    cfg = {
        "common": {"cpu": False, "fp16": False, "tpu": False, "model_parallel_size": 1, "user_dir": None, **common},
        "distributed_training": {
            "pipeline_model_parallel": False, "distributed_world_size": world_size, "distributed_init_method": None,
            "distributed_rank": 0, "distributed_no_spawn": False, "distributed_port": 0,
        },
    }  # fmt: skip
    with pytest.raises(LayoutError, match=message):
        call_main(OmegaConf.create(cfg), lambda cfg: pytest.fail("it started"))


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ("please reset the optimizer (--reset-optimizer). A vs B", ["checkpoint.reset_optimizer"]),
        ("relaunch training with `--reset-dataloader`", ["checkpoint.reset_dataloader"]),
        (
            "--finetune-from-model can not be set together with either --reset-optimizer or",
            ["checkpoint.finetune_from_model", "checkpoint.reset_optimizer"],
        ),
        ("either with --max-tokens or --batch-size", ["dataset.max_tokens", "dataset.batch_size"]),
        (
            "--fp16-scale-window must be given with --update-freq",
            ["common.fp16_scale_window", "optimization.update_freq"],
        ),
        ("no option here -- none at all --nothing-known", []),
    ],
)
def test_messages_of_fairseq_get_the_names_of_hydra(message, names):
    assert hydra_names(message) == names


@pytest.mark.parametrize("under_hydra", [True, False])
def test_the_names_are_added_under_hydra_only(monkeypatch, under_hydra):
    monkeypatch.setattr(HydraConfig, "initialized", lambda: under_hydra)
    with pytest.raises(AssertionError, match="--reset-optimizer") as error, add_hydra_names():
        raise AssertionError("please reset the optimizer (--reset-optimizer)")
    notes = getattr(error.value, "__notes__", [])
    assert notes == ["On the command line of fairseq-hydra-train: checkpoint.reset_optimizer."] * under_hydra
