"""fairseq's Trainer on a CPU, in any precision: its CUDA calls are replaced."""

from types import SimpleNamespace
from typing import Any

import torch
from fairseq.criterions import FairseqCriterion
from fairseq.data.dictionary import Dictionary
from fairseq.dataclass.configs import FairseqConfig
from fairseq.logging import metrics
from fairseq.models import BaseFairseqModel
from fairseq.optim.adam import FairseqAdamConfig
from fairseq.optim.lr_scheduler.polynomial_decay_schedule import PolynomialDecayLRScheduleConfig
from fairseq.tasks import FairseqTask
from fairseq.trainer import Trainer
from omegaconf import OmegaConf
from torch import nn

from mert_fairseq.criterions.mert_criterion import MERTCriterion
from mert_fairseq.distributed import fairseq_patches
from mert_fairseq.optimizers.fused_adamw import FusedAdamWConfig

PRECISIONS = {
    "float32": {},
    "bf16": {"bf16": True},
    "fp16": {"fp16": True},
    "fp16_not_flat": {"fp16": True, "fp16_no_flatten_grads": True},
}


class Task(FairseqTask):
    """The minimum that the trainer needs."""

    def __init__(self) -> None:
        super().__init__(None)


def config(precision: str = "float32", optimizer: str = "fused_adamw", **options: Any) -> Any:
    """A configuration for 100 updates; ``options`` are dotted names, with ``__`` for the dot."""
    classes = {"adam": FairseqAdamConfig, "fused_adamw": FusedAdamWConfig}
    cfg = OmegaConf.structured(FairseqConfig)
    cfg.optimizer = OmegaConf.merge(
        OmegaConf.structured(classes[optimizer]),
        {"_name": optimizer, "adam_betas": "(0.9,0.98)", "adam_eps": 1e-6, "weight_decay": 0.01},
    )
    schedule = {"_name": "polynomial_decay", "warmup_updates": 2, "total_num_update": 100, "lr": [0.01]}
    cfg.lr_scheduler = OmegaConf.merge(OmegaConf.structured(PolynomialDecayLRScheduleConfig), schedule)
    settings: dict[str, Any] = {
        "common": {"cpu": True, "fp16_init_scale": 128, "log_interval": 1, **PRECISIONS[precision]},
        "optimization": {"lr": [0.01], "clip_norm": 10.0},
        "distributed_training": {"distributed_world_size": 1},
    }
    for name, value in options.items():
        section, key = name.split("__")
        settings.setdefault(section, {})[key] = value
    cfg = OmegaConf.merge(cfg, settings)
    cfg.optimizer.lr, cfg.model, cfg.task, cfg.criterion = [0.01], {"_name": "tiny"}, {}, {}
    return cfg


def make_trainer(
    monkeypatch: Any, tmp_path: Any, cfg: Any, model: nn.Module, criterion: FairseqCriterion, patched: bool = True
) -> Trainer:
    """A trainer as a rank of ``fairseq-hydra-train`` makes it, or as fairseq alone does."""
    for owner, name, replacement in fairseq_patches.TRAINING if patched else []:
        monkeypatch.setattr(owner, name, replacement)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: None)  # the device index of CPU tensors
    monkeypatch.setattr(torch.Tensor, "cuda", lambda tensor, *_, **__: tensor)
    cfg.checkpoint.save_dir = str(tmp_path)
    return Trainer(cfg, Task(), model, criterion)


def train(trainer: Trainer, updates: range) -> None:
    """Train ``Layers``; the batch depends on the update number only."""
    for update in updates:
        torch.manual_seed(update)
        trainer.train_step([{"x": torch.randn(4, 4)}])


def resume(trainer: Trainer, other: Trainer, tmp_path: Any) -> Trainer:
    """Save a checkpoint of the first trainer and load it in the other one."""
    trainer.consolidate_optimizer()
    trainer.save_checkpoint(str(tmp_path / "checkpoint.pt"), {"train_iterator": {"epoch": 1}})
    other.get_train_iterator = lambda *_, **__: None
    other.load_checkpoint(str(tmp_path / "checkpoint.pt"))
    return other


class Layers(BaseFairseqModel):
    """216 parameters, as many as the 95M model has."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(108))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Sum of all layers."""
        return sum(layer(x) for layer in self.layers)


class Square(FairseqCriterion):
    """Mean square of the model's output."""

    def __init__(self) -> None:
        super().__init__(None)

    def forward(self, model, sample, reduce=True):
        loss = model(sample["x"]).float().pow(2).sum()
        return loss, 4, {"loss": loss.detach(), "sample_size": 4, "ntokens": 4, "nsentences": 4}

    @staticmethod
    def reduce_metrics(logging_outputs):
        metrics.log_scalar("loss", sum(log["loss"] for log in logging_outputs))

    @staticmethod
    def logging_outputs_can_be_summed():
        return True


def mert_criterion() -> MERTCriterion:
    """The criterion of ``tiny_mert``."""
    dictionary = Dictionary()
    for code in range(16):
        dictionary.add_symbol(str(code), code + 1)
    return MERTCriterion(SimpleNamespace(dictionaries=[dictionary] * 2))


def mert_sample() -> dict[str, Any]:
    """Two clips of half a second."""
    torch.manual_seed(1)
    return {
        "id": torch.arange(2),
        "target_list": torch.randint(4, 20, (2, 2, 38)),
        "net_input": {"source": (torch.randn(2, 12_000) * 3000).to(torch.int16), "padding_mask": None},
    }
