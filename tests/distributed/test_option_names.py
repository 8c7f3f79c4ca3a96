"""Errors of fairseq that name options of its command line get Hydra's names too."""

import pytest
from hydra.core.hydra_config import HydraConfig

from mert_fairseq.distributed.option_names import hydra_names, naming_hydra_options


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
    with pytest.raises(AssertionError, match="--reset-optimizer") as error, naming_hydra_options():
        raise AssertionError("please reset the optimizer (--reset-optimizer)")
    notes = getattr(error.value, "__notes__", [])
    assert notes == ["On the command line of fairseq-hydra-train: checkpoint.reset_optimizer."] * under_hydra
