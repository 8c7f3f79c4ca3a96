"""Names of the encoder's weights in fairseq and in transformers: one exact, reversible map.

The targets are the names of transformers' HubertModel. The last four rules name what only our own model file holds.
"""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

LAYER = r"encoder\.layers\.(\d+)\."
PARAMETER = r"(weight|bias)"
RULES = (
    (r"mask_emb", r"masked_spec_embed"),
    (rf"feature_extractor\.conv_layers\.(\d+)\.0\.{PARAMETER}", r"feature_extractor.conv_layers.\1.conv.\2"),
    (rf"feature_extractor\.conv_layers\.0\.2\.{PARAMETER}", r"feature_extractor.conv_layers.0.layer_norm.\1"),
    (rf"feature_extractor\.conv_layers\.(\d+)\.2\.1\.{PARAMETER}", r"feature_extractor.conv_layers.\1.layer_norm.\2"),
    (rf"layer_norm\.{PARAMETER}", r"feature_projection.layer_norm.\1"),
    (rf"post_extract_proj\.{PARAMETER}", r"feature_projection.projection.\1"),
    (r"encoder\.pos_conv\.0\.bias", r"encoder.pos_conv_embed.conv.bias"),
    (r"encoder\.pos_conv\.0\.weight_g", r"encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"encoder\.pos_conv\.0\.weight_v", r"encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    (rf"encoder\.layer_norm\.{PARAMETER}", r"encoder.layer_norm.\1"),
    (rf"{LAYER}self_attn\.([qkv]|out)_proj\.{PARAMETER}", r"encoder.layers.\1.attention.\2_proj.\3"),
    (rf"{LAYER}self_attn_layer_norm\.{PARAMETER}", r"encoder.layers.\1.layer_norm.\2"),
    (rf"{LAYER}fc1\.{PARAMETER}", r"encoder.layers.\1.feed_forward.intermediate_dense.\2"),
    (rf"{LAYER}fc2\.{PARAMETER}", r"encoder.layers.\1.feed_forward.output_dense.\2"),
    (rf"{LAYER}final_layer_norm\.{PARAMETER}", r"encoder.layers.\1.final_layer_norm.\2"),
    (rf"encoder\.pos_conv\.(\d+)\.0\.{PARAMETER}", r"encoder.pos_conv_embed.convs.\1.\2"),
    (rf"post_extract_norm\.{PARAMETER}", r"feature_projection.output_norm.\1"),
    (rf"{LAYER}self_attn\.inner_norm\.{PARAMETER}", r"encoder.layers.\1.attention.inner_norm.\2"),
    (rf"{LAYER}inner_norm\.{PARAMETER}", r"encoder.layers.\1.feed_forward.inner_norm.\2"),
)
OLD_NAMES = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}


def hf_names(keys: Iterable[str]) -> dict[str, str]:
    """The transformers name of each fairseq name.

    Raises:
        ValueError: if a name fits no rule or several, or two names map to one.
    """
    names = {}
    for key in keys:
        found = [match.expand(target) for rule, target in RULES if (match := re.fullmatch(rule, key))]
        if len(found) != 1:
            raise ValueError(f"weight {key!r}: found {len(found)} names for it in transformers, expected 1.")
        names[key] = found[0]
    if len(set(names.values())) < len(names):
        raise ValueError("two weights have one name in transformers.")
    return names


def to_hf(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under their transformers names; all must have one."""
    names = hf_names(weights)
    return {names[key]: weight for key, weight in weights.items()}


def from_hf(weights: Mapping[str, Tensor], wanted: Iterable[str], where: str) -> dict[str, Tensor]:
    """Weights under their fairseq names.

    Args:
        weights: by transformers name; the older names ``weight_g`` and ``weight_v`` of weight norm work too.
        wanted: the fairseq names that the model has.
        where: the file, for messages.

    Raises:
        ValueError: naming the weights that are missing and those that have no place.
    """
    current = {_current(name): weight for name, weight in weights.items()}
    names = hf_names(wanted)
    missing = sorted(set(names.values()) - current.keys())
    left_over = sorted(current.keys() - set(names.values()))
    if missing or left_over:
        raise ValueError(
            f"{where}: its weights do not fit its configuration: {_some('missing', missing)}; "
            f"{_some('without a place', left_over)}. Give a folder with one encoder, as mert-export-hf or m-a-p's "
            f"MERT-v1 have it."
        )
    return {name: current[hf_name] for name, hf_name in names.items()}


def _current(name: str) -> str:
    stem, _, last = name.rpartition(".")
    return f"{stem}.{OLD_NAMES[last]}" if last in OLD_NAMES else name


def _some(what: str, names: list[str]) -> str:
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} {what}{f' ({shown})' if names else ''}"
