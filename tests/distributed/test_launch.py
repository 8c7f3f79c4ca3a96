"""What is refused before any rank starts."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from mert_fairseq.distributed.launch import call_main
from mert_fairseq.distributed.rank_layout import LayoutError


@pytest.mark.parametrize(
    ("common", "world_size", "message"),
    [
        ({"fp16": True}, 1, "common.fp16 is for GPUs.*common.cpu=true common.fp16=false"),
        ({"fp16": True, "cpu": True}, 1, "common.fp16 is for GPUs"),
        ({}, 2, "rank 0 of 2 sees no GPU.*set common.cpu=true"),
        ({"user_dir": "/elsewhere/mert_fairseq"}, 1, "the mert_fairseq that is installed lies in"),
    ],
)
def test_nothing_starts_that_could_not_train(monkeypatch, common: dict[str, Any], world_size: int, message: str):
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
