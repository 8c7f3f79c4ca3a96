"""Writes a checkpoint of a tiny MERT with random weights, in fairseq's format."""

from pathlib import Path

import torch
from fairseq import tasks
from omegaconf import OmegaConf

from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.mert_config import MERTConfig
from mert_fairseq.tasks.pretraining_config import MERTPretrainingConfig

SMALL = {
    "_name": "mert", "label_rate": 75.0, "encoder_layers": 2, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 16,
    "encoder_attention_heads": 2, "conv_feature_layers": "[(8,10,5)] + [(8,3,2)] * 4 + [(8,2,2)] * 2", "conv_pos": 8,
    "conv_pos_groups": 4, "final_dim": 8,
}  # fmt: skip


def write_checkpoint(path: Path, seed: int = 0, **task_options: object) -> Path:
    """Save a model with 2 layers of width 16, for one label with 8 codes, at 24 kHz and 75 Hz; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "dict.rvq_0.txt").write_text("".join(f"{code} 1\n" for code in range(8)))
    options = {
        "_name": "mert_pretraining", "data": str(path.parent), "labels": ["rvq_0"], "label_rate": 75.0,
        "sample_rate": 24_000, **task_options,
    }  # fmt: skip
    task_cfg = OmegaConf.merge(OmegaConf.structured(MERTPretrainingConfig), options)
    model_cfg = OmegaConf.merge(OmegaConf.structured(MERTConfig), SMALL)
    task = tasks.setup_task(task_cfg)
    torch.manual_seed(seed)
    model = MERTModel.build_model(model_cfg, task)
    state = {
        "args": None,
        "cfg": {
            "common": {"seed": 1},
            "dataset": {"train_subset": "train"},
            "task": OmegaConf.to_container(task_cfg, enum_to_str=True),
            "model": OmegaConf.to_container(model_cfg, enum_to_str=True),
        },
        "model": model.state_dict(),
        "task_state": {"label_symbols": task.state.label_symbols},
        "optimizer_history": [{"num_updates": 1, "optimizer_name": "FairseqAdam", "lr_scheduler_state": {}}],
        "extra_state": {"train_iterator": {"epoch": 1}},
    }
    torch.save(state, path)
    return path
