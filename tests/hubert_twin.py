"""A tiny MERT and transformers' HubertModel with the same weights, mapped here by their published names."""

from pathlib import Path

import torch
from tiny_mert import TINY, save_tiny_mert
from torch import Tensor

LAYER_PARTS = {
    "self_attn.": "attention.",
    "self_attn_layer_norm.": "layer_norm.",
    "fc1.": "feed_forward.intermediate_dense.",
    "fc2.": "feed_forward.output_dense.",
    "final_layer_norm.": "final_layer_norm.",
}
POSITIONS = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}


def hubert_name(name: str) -> str | None:
    """transformers' name of a weight of fairseq; None for the heads of the pretraining."""
    parts = name.split(".")
    match parts:
        case ["mask_emb"]:
            return "masked_spec_embed"
        case ["layer_norm", kind]:
            return f"feature_projection.layer_norm.{kind}"
        case ["post_extract_proj", kind]:
            return f"feature_projection.projection.{kind}"
        case ["feature_extractor", "conv_layers", index, "0", kind]:
            return f"feature_extractor.conv_layers.{index}.conv.{kind}"
        case ["feature_extractor", "conv_layers", index, *_, kind]:
            return f"feature_extractor.conv_layers.{index}.layer_norm.{kind}"
        case ["encoder", "pos_conv", "0", kind]:
            return f"encoder.pos_conv_embed.conv.{POSITIONS.get(kind, kind)}"
        case ["encoder", "layer_norm", kind]:
            return name
        case ["encoder", "layers", index, *rest]:
            part = ".".join(rest)
            ours = next(prefix for prefix in LAYER_PARTS if part.startswith(prefix))
            return f"encoder.layers.{index}.{LAYER_PARTS[ours]}{part[len(ours) :]}"
    return None


def save_twins(folder: Path, pre_norm: bool = False, group_norm: bool = False, normalize: bool = False) -> None:
    """Write ``mert.pt`` and the Hugging Face folder ``hubert`` below ``folder``."""
    import transformers

    mode = "default" if group_norm else "layer_norm"
    model = save_tiny_mert(folder / "mert.pt", normalize, layer_norm_first=pre_norm, extractor_mode=mode)
    config = transformers.HubertConfig(
        hidden_size=TINY["encoder_embed_dim"],
        num_hidden_layers=TINY["encoder_layers"],
        num_attention_heads=TINY["encoder_attention_heads"],
        intermediate_size=TINY["encoder_ffn_embed_dim"],
        conv_dim=[8] * 7,
        num_conv_pos_embeddings=TINY["conv_pos"],
        num_conv_pos_embedding_groups=TINY["conv_pos_groups"],
        feat_extract_norm="group" if group_norm else "layer",
        do_stable_layer_norm=pre_norm,
        conv_bias=False,
    )
    twin = transformers.HubertModel(config)
    mapped: dict[str, Tensor] = {}
    for name, weight in model.state_dict().items():
        if (theirs := hubert_name(name)) is not None:
            mapped[theirs] = weight
    twin.load_state_dict(mapped)
    twin.save_pretrained(folder / "hubert")
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=24_000, do_normalize=normalize).save_pretrained(
        folder / "hubert"
    )


def noise(samples: int, clips: int = 1) -> Tensor:
    """(clips, samples) float32."""
    return 0.1 * torch.randn(clips, samples, generator=torch.Generator().manual_seed(0))
