"""A MERT small enough for fast tests, and a checkpoint of it as fairseq saves them."""

from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.mert_config import MERTConfig

TINY = {
    "_name": "mert",
    "label_rate": 75.0,
    "conv_feature_layers": "[(8,10,5)] + [(8,3,2)] * 4 + [(8,2,2)] * 2",
    "extractor_mode": "layer_norm",  # normalises each frame on its own, so that padding has no effect
    "encoder_layers": 3,
    "encoder_embed_dim": 16,
    "encoder_ffn_embed_dim": 24,
    "encoder_attention_heads": 2,
    "conv_pos": 8,
    "conv_pos_groups": 2,
    "audio_cqt_loss_m": True,
    "dropout": 0.1,
    "encoder_layerdrop": 0.5,
}


def tiny_mert(**options: Any) -> MERTModel:
    """A tiny model with all pretraining heads, for two codebooks of 20 classes at 24 kHz."""
    return MERTModel(OmegaConf.merge(OmegaConf.structured(MERTConfig), TINY, options), 24_000, [20, 20])


def save_tiny_mert(path: Path, normalize: bool = False, **options: Any) -> MERTModel:
    """Write a checkpoint as the task mert_pretraining saves it; returns the model."""
    torch.manual_seed(0)
    model = tiny_mert(**options)
    task = {"_name": "mert_pretraining", "sample_rate": 24_000, "normalize": normalize}
    torch.save({"cfg": {"model": {**TINY, **options}, "task": task}, "model": model.state_dict()}, path)
    return model
