"""Checks of the configuration before a training starts, and Hydra's option names in errors of fairseq."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairseq.dataclass.configs import FairseqConfig
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from mert_fairseq.distributed.rank_layout import LayoutError, RankLayout

PYTORCH_DDP = ("c10d", "pytorch_ddp")
FLAG = re.compile(r"--([a-z0-9][a-z0-9-]*)")


def check_user_dir(user_dir: str | None) -> None:
    """Refuse a user_dir with another copy of this package; fairseq would only report that the name is taken."""
    installed = Path(__file__).parents[1]
    if user_dir and Path(user_dir).name == installed.name and Path(user_dir).resolve() != installed:
        raise LayoutError(
            f"common.user_dir={user_dir}, but the installed mert_fairseq is in {installed}. Pass "
            f"common.user_dir={installed}, or install the other one (pip install -e)."
        )


def check_without_gpus(cfg: DictConfig, layout: RankLayout) -> None:
    """Refuse half precision on CPUs, and several ranks on CPUs unless common.cpu is set."""
    visible = f"CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES')}"
    if cfg.common.fp16:
        raise LayoutError(
            f"rank {layout.rank} uses no GPU (common.cpu={str(cfg.common.cpu).lower()}, {visible}), but common.fp16 "
            f"needs GPUs. Request GPUs, or set common.cpu=true common.fp16=false to train on CPUs."
        )
    if layout.world_size > 1 and not cfg.common.cpu:
        raise LayoutError(
            f"rank {layout.rank} of {layout.world_size} sees no GPU ({visible}). Request GPUs, or set common.cpu=true "
            f"to train on CPUs."
        )


def check_ddp(cfg: DictConfig, world_size: int) -> None:
    """Refuse a DDP backend that would fail in the second update because some parameters get no gradient.

    Args:
        cfg: fairseq's configuration.
        world_size: number of ranks.

    Raises:
        LayoutError: names the option that leaves parameters unused, and the remedies.
    """
    training = cfg.distributed_training
    if world_size == 1 or training.ddp_backend not in PYTORCH_DDP or training.find_unused_parameters:
        return
    if reasons := unused_parameters(cfg):
        raise LayoutError(
            f"distributed_training.ddp_backend={training.ddp_backend} with find_unused_parameters=false, but "
            f"{' and '.join(reasons)}. Set distributed_training.find_unused_parameters=true, or "
            f"distributed_training.ddp_backend=legacy_ddp."
        )


def unused_parameters(cfg: DictConfig) -> list[str]:
    """The options that leave parameters of the model ``mert`` without a gradient in some update, with the reason."""
    model, criterion = cfg.get("model") or {}, cfg.get("criterion") or {}
    if model.get("_name") != "mert":
        return []
    reasons = []
    if (layerdrop := model.get("encoder_layerdrop", 0.0)) > 0:
        reasons.append(f"model.encoder_layerdrop={layerdrop:g} drops layers")
    if (codebooks := model.get("random_codebook", -1)) > 0:
        reasons.append(f"model.random_codebook={codebooks} does not use all heads")
    if model.get("feature_grad_mult", 1.0) <= 0:
        reasons.append("model.feature_grad_mult=0 gives the conv stack no gradient")
    heads = [
        ("pred_masked_weight", True, "the heads of the codes"),
        ("cqt_weight", model.get("audio_cqt_loss_m", False), "the CQT head"),
        ("mel_weight", model.get("audio_mel_loss_m", False), "the log-mel head"),
    ]
    for weight, built, head in heads:
        trained_unmasked = weight == "pred_masked_weight" and criterion.get("pred_nomask_weight", 0.0)
        if built and criterion.get(weight, 1.0) == 0 and not trained_unmasked:
            reasons.append(f"criterion.{weight}=0 does not use {head}")
    return reasons


def hydra_names(message: str) -> list[str]:
    """Hydra's names of the known options that a message of fairseq writes as ``--some-option``."""
    names = []
    for flag in FLAG.findall(message):
        option = flag.replace("-", "_")
        for group, field in FairseqConfig.__dataclass_fields__.items():
            if option in getattr(field.default, "__dataclass_fields__", {}):
                names.append(f"{group}.{option}")
                break
    return list(dict.fromkeys(names))


@contextmanager
def add_hydra_names() -> Iterator[None]:
    """Add Hydra's option names to errors that name options of fairseq's command line."""
    try:
        yield
    except Exception as error:
        names = hydra_names(str(error)) if HydraConfig.initialized() else []
        if names:
            error.add_note(f"On the command line of fairseq-hydra-train: {', '.join(names)}.")
        raise
