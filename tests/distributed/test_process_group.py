"""Errors of lost ranks have a remedy, and the error that users see is that of the rank that failed."""

import pytest
import torch
from fairseq.distributed.utils import get_data_parallel_group
from omegaconf import DictConfig, OmegaConf

from mert_fairseq.distributed import launch
from mert_fairseq.distributed.process_group import LostRankError, explain_lost_ranks


@pytest.mark.parametrize("report", ["Timed out waiting 8000ms for recv", "Connection closed by peer [127.0.0.1]:33"])
def test_gloos_error_of_a_lost_peer_becomes_one_with_a_remedy(report):
    remedy = r"rank 2 lost another rank, .*within 8 s.*continues from its last checkpoint"
    with pytest.raises(LostRankError, match=remedy), explain_lost_ranks(2, 8):
        raise RuntimeError(f"[unbound_buffer.cc:78] {report}")


def test_other_errors_are_unchanged():
    with pytest.raises(RuntimeError, match="^mat1 and mat2"), explain_lost_ranks(0, 8):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def fail_on_rank_1(cfg: DictConfig) -> None:
    """A training whose rank 1 fails while rank 0 waits for it."""
    if torch.distributed.get_rank() == 1:
        raise FloatingPointError("the loss is not finite")
    torch.distributed.all_reduce(torch.ones(1), group=get_data_parallel_group())


@pytest.mark.slow
def test_the_error_of_the_failed_rank_is_shown_not_that_of_the_waiting_rank():
    cfg = OmegaConf.create(
        {
            "common": {"cpu": True, "fp16": False, "tpu": False, "model_parallel_size": 1, "user_dir": None},
            "distributed_training": {
                "distributed_world_size": 2, "distributed_init_method": None, "distributed_rank": 0,
                "distributed_no_spawn": False, "distributed_port": 0, "heartbeat_timeout": 60,
                "pipeline_model_parallel": False, "distributed_backend": "gloo",
            },
            "optimization": {"update_freq": [1]}, "task": {}, "dataset": {"max_tokens": 5},
        }
    )  # fmt: skip
    with pytest.raises(torch.multiprocessing.ProcessRaisedException, match="FloatingPointError: the loss is not"):
        launch.call_main(cfg, fail_on_rank_1)
