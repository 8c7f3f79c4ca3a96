"""Checkpoints of the task mert_pretraining with all that a trainer stores, and folders as MERT-v1 was published."""

import json
from pathlib import Path
from typing import Any

import torch
from tiny_mert import TINY, tiny_mert
from torch import Tensor

from mert_fairseq.models.mert import MERTModel

CODES = 16  # with fairseq's 4 special symbols the 20 classes of tiny_mert
LABELS = ["rvq_0", "rvq_1"]


def save_pretraining(
    path: Path, normalize: bool = False, half: bool = False, data: str = "", **options: Any
) -> MERTModel:
    """Write a checkpoint of 3 layers of width 16 and two codebooks; returns the model."""
    torch.manual_seed(0)
    model = tiny_mert(**options)
    with torch.no_grad():  # biases and norms of a fresh model are 0 and 1, which would hide a wrong name
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    weights = {name: weight.half() if half else weight for name, weight in model.state_dict().items()}
    task = {
        "_name": "mert_pretraining", "sample_rate": 24_000, "normalize": normalize, "labels": LABELS,
        "label_rate": 75.0, "data": data, "train_subset": "train",
    }  # fmt: skip
    symbols = [str(code) for code in range(CODES)]
    meter = {"val": 1.0, "sum": 9.0, "count": 2, "round": 3}
    state = {
        "cfg": {"model": {**TINY, **options}, "task": task, "common": {"seed": 1}},
        "model": weights,
        "task_state": {"label_symbols": [(symbols, list(range(1, CODES + 1))), (symbols, [1] * CODES)]},
        "optimizer_history": [{"num_updates": 1200}],
        "extra_state": {
            "train_iterator": {"epoch": 3},
            "metrics": {"train": [(0, "loss", "AverageMeter", meter)], "valid": [(0, "loss", "AverageMeter", meter)]},
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return model.eval()


def random_wave(clips: int = 2, samples: int = 24_000, seed: int = 0) -> Tensor:
    """Noise, (clips, samples)."""
    return 0.3 * torch.randn(clips, samples, generator=torch.Generator().manual_seed(seed))


def save_published(
    folder: Path, pickled: bool = True, config_changes: dict[str, Any] | None = None, **sizes: Any
) -> Any:
    """Write a folder with the file names, keys and configuration of m-a-p's MERT-v1; returns a HubertModel of it."""
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(1)
    fields: dict[str, Any] = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
        "conv_dim": [16] * 7, "conv_stride": [5, 2, 2, 2, 2, 2, 2], "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "conv_bias": False, "feat_extract_norm": "group", "do_stable_layer_norm": False,
        "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4, **sizes,
    }  # fmt: skip
    model = HubertModel(HubertConfig(**fields)).eval()
    config = model.config.to_dict() | {
        "model_type": "mert_model", "architectures": ["MERTModel"], "sample_rate": 24_000, "deepnorm": False,
        "feature_extractor_cqt": False, "feature_extractor_cqt_bins": 336, "attention_relax": -1.0,
        "auto_map": {"AutoConfig": "configuration_MERT.MERTConfig", "AutoModel": "modeling_MERT.MERTModel"},
    }  # fmt: skip
    del config["conv_pos_batch_norm"]  # older than this field
    config |= config_changes or {}
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    weights = {}
    for name, weight in model.state_dict().items():
        for new_name, old_name in old.items():
            name = name.replace(new_name, old_name)
        weights[name] = weight.clone()
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"feature_extractor_type": "Wav2Vec2FeatureExtractor", "do_normalize": False, "feature_size": 1,
                    "padding_value": 0.0, "return_attention_mask": True, "sampling_rate": 24_000})
    )  # fmt: skip
    if pickled:
        torch.save(weights, folder / "pytorch_model.bin")
    else:
        from safetensors.torch import save_file

        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return model
