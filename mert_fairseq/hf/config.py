"""The options of a MERT as a configuration for transformers, and back; what each layout cannot hold, by name."""

from typing import Any

from mert_fairseq.frames import ConvLayer, conv_stride, parse_conv_layers
from mert_fairseq.hf.remote.configuration_mert import MERTEncoderConfig
from mert_fairseq.models.mert_config import MERTConfig, front_end, spectral_windows

LAYOUTS = ("hubert", "mert")
# fairseq option -> HubertConfig field of the same meaning
SAME = {
    "encoder_embed_dim": "hidden_size",
    "encoder_layers": "num_hidden_layers",
    "encoder_attention_heads": "num_attention_heads",
    "encoder_ffn_embed_dim": "intermediate_size",
    "dropout": "hidden_dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "dropout_input": "feat_proj_dropout",
    "encoder_layerdrop": "layerdrop",
    "conv_bias": "conv_bias",
    "conv_pos": "num_conv_pos_embeddings",
    "conv_pos_groups": "num_conv_pos_embedding_groups",
    "layer_norm_first": "do_stable_layer_norm",
}
ACTIVATIONS = {"gelu": "gelu", "relu": "relu", "tanh": "tanh", "gelu_accurate": "gelu_new"}
CONV_NORMS = {"default": "group", "layer_norm": "layer"}
LAYER_NORM_EPS = 1e-5  # torch's default, which fairseq uses
REMOTE_CODE = "modeling_mert.MERTEncoderModel"


def obstacles(cfg: MERTConfig, layout: str) -> list[str]:
    """The options, with their values, that a layout cannot hold."""
    conv = parse_conv_layers(cfg.conv_feature_layers)
    types = {str(cfg.layer_type), *cfg.encoder_layer_types}
    neither = {
        "layer_type or encoder_layer_types: conformer": "conformer" in types,
        "conv_pos_batch_norm: true": cfg.conv_pos_batch_norm,
        f"activation_fn: {cfg.activation_fn}": str(cfg.activation_fn) not in ACTIVATIONS,
    }
    hubert_only = {
        "deepnorm: true": cfg.deepnorm,
        "subln: true": cfg.subln,
        "feature_extractor_cqt: true (front_end: both)": front_end(cfg) == "both",
        "front_end: spectral": front_end(cfg) == "spectral",
        "do_cnn_feat_stable_layernorm: true": cfg.do_cnn_feat_stable_layernorm,
        "encoder_layer_ffn_dims (widths that change per layer)": len(set(cfg.encoder_layer_ffn_dims)) > 1,
        "encoder_layer_heads (heads that change per layer)": len(set(cfg.encoder_layer_heads)) > 1,
        f"pos_conv_depth: {cfg.pos_conv_depth}": cfg.pos_conv_depth > 1,
        f"conv_pos: {cfg.conv_pos}": cfg.conv_pos <= 0,
        "conv_feature_layers as wide as encoder_embed_dim (no projection)": conv[-1].channels == cfg.encoder_embed_dim,
    }
    found = neither if layout == "mert" else neither | hubert_only
    return [option for option, is_set in found.items() if is_set]


def refuse_obstacles(cfg: MERTConfig, layout: str, where: str) -> None:
    """Refuse a model that a layout cannot hold.

    Raises:
        ValueError: naming the options, and the other layout where that one can.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout: found {layout!r}, expected one of {', '.join(LAYOUTS)}.")
    if not (found := obstacles(cfg, layout)):
        return
    remedy = "Neither layout can; use the fairseq checkpoint itself."
    if layout == "hubert" and not obstacles(cfg, "mert"):
        remedy = "Export with --layout mert, whose folder carries its own small model file."
    holder = "transformers' HubertModel" if layout == "hubert" else "the layout 'mert'"
    raise ValueError(f"{where}: {holder} cannot hold {'; '.join(found)}. {remedy}")


def hf_config(cfg: MERTConfig, sample_rate: int, layout: str) -> dict[str, Any]:
    """The content of ``config.json``."""
    conv = parse_conv_layers(cfg.conv_feature_layers)
    shared = {
        "conv_dim": [layer.channels for layer in conv],
        "conv_kernel": [layer.kernel for layer in conv],
        "conv_stride": [layer.stride for layer in conv],
        "feat_extract_norm": CONV_NORMS[str(cfg.extractor_mode)],
        "hidden_act": ACTIVATIONS[str(cfg.activation_fn)],
        "layer_norm_eps": LAYER_NORM_EPS,
        "sample_rate": sample_rate,
        "torch_dtype": "float32",
    }
    if layout == "mert":
        return _mert_config(cfg) | _front_end_config(cfg, sample_rate) | shared
    same = {hf_name: getattr(cfg, name) for name, hf_name in SAME.items()}
    ffn_dims, heads = _per_layer(cfg)
    return {
        "model_type": "hubert",
        "architectures": ["HubertModel"],
        **same,
        **shared,
        "intermediate_size": ffn_dims[0],
        "num_attention_heads": heads[0],
        "feat_extract_activation": "gelu",
        "feat_proj_layer_norm": True,
        "conv_pos_batch_norm": False,
        # A mask probability above 0 keeps the mask embedding in the model; nothing is masked without spec augment.
        "apply_spec_augment": False,
        "mask_time_prob": 0.05,
        "mask_time_length": cfg.mask_length,
        "mask_feature_prob": 0.0,
        "num_feat_extract_layers": len(conv),
        "vocab_size": 32,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def _mert_config(cfg: MERTConfig) -> dict[str, Any]:
    norm = "deepnorm" if cfg.deepnorm else "subln" if cfg.subln else "pre" if cfg.layer_norm_first else "post"
    ffn_dims, heads = _per_layer(cfg)
    return {
        "model_type": MERTEncoderConfig.model_type,
        "architectures": [REMOTE_CODE.partition(".")[2]],
        "auto_map": {"AutoConfig": "configuration_mert.MERTEncoderConfig", "AutoModel": REMOTE_CODE},
        "hidden_size": cfg.encoder_embed_dim,
        "intermediate_sizes": ffn_dims,
        "attention_heads": heads,
        "norm": norm,
        "conv_bias": cfg.conv_bias,
        "feat_proj_stable_norm": cfg.do_cnn_feat_stable_layernorm,
        "wave_norm": cfg.wav_normalize,
        "num_conv_pos_embeddings": max(0, cfg.conv_pos),
        "num_conv_pos_embedding_groups": cfg.conv_pos_groups,
        "conv_pos_depth": cfg.pos_conv_depth,
        "hidden_dropout": cfg.dropout,
        "attention_dropout": cfg.attention_dropout,
        "activation_dropout": cfg.activation_dropout,
        "feat_proj_dropout": cfg.dropout_input,
    }


def _front_end_config(cfg: MERTConfig, sample_rate: int) -> dict[str, Any]:
    """What enters the encoder: convolutions, spectra, or both, and whether a projection follows."""
    kind = front_end(cfg)
    channels = parse_conv_layers(cfg.conv_feature_layers)[-1].channels
    spectra: dict[str, Any] = {"cqt_bins": 0, "mel_bins": 0}
    if kind == "both":
        spectra["cqt_bins"] = cfg.feature_extractor_cqt_bins
        channels += cfg.feature_extractor_cqt_bins
    elif kind == "spectral":
        window_samples, fft_samples = spectral_windows(cfg, sample_rate)
        spectra = {
            "cqt_bins": cfg.front_end_cqt_bins,
            "cqt_longest_samples": window_samples,
            "mel_bins": cfg.front_end_mel_bins,
            "mel_fft_samples": fft_samples,
        }
        channels = cfg.front_end_cqt_bins + cfg.front_end_mel_bins
    return {
        "front_end": kind,
        "feat_proj": channels != cfg.encoder_embed_dim,
        "cqt_octaves": cfg.audio_cqt_octaves,
        "cqt_lowest_hz": cfg.audio_cqt_fmin,
        **spectra,
    }


def _per_layer(cfg: MERTConfig) -> tuple[list[int], list[int]]:
    """Feed-forward widths and heads, one per layer."""
    layers = cfg.encoder_layers
    return (
        list(cfg.encoder_layer_ffn_dims) or [cfg.encoder_ffn_embed_dim] * layers,
        list(cfg.encoder_layer_heads) or [cfg.encoder_attention_heads] * layers,
    )


def options_from_hubert(config: dict[str, Any], where: str) -> dict[str, Any]:
    """Options of the model ``mert`` from a HubertConfig, or the published MERT-v1's, which has the same fields.

    Raises:
        ValueError: naming a field that is missing, or whose value MERT does not have.
    """
    expected = {"feat_proj_layer_norm": True, "feat_extract_activation": "gelu", "layer_norm_eps": LAYER_NORM_EPS}
    expected |= dict.fromkeys(("deepnorm", "feature_extractor_cqt", "conv_pos_batch_norm"), False)
    for name, value in expected.items():
        if (found := config.get(name, value)) != value:
            raise ValueError(f"{where}: {name} is {found!r}, only {value!r} can be imported.")
    needed = (*SAME.values(), "conv_dim", "conv_kernel", "conv_stride", "feat_extract_norm", "hidden_act")
    if missing := [name for name in needed if name not in config]:
        raise ValueError(f"{where}: has no {', '.join(missing)}. Give the config.json of a HuBERT or MERT model.")
    options = {name: config[hf_name] for name, hf_name in SAME.items()}
    for option, table, field in (
        ("activation_fn", ACTIVATIONS, "hidden_act"),
        ("extractor_mode", CONV_NORMS, "feat_extract_norm"),
    ):
        back = {hf_value: value for value, hf_value in table.items()}
        if config[field] not in back:
            raise ValueError(f"{where}: {field} is {config[field]!r}, expected one of {', '.join(back)}.")
        options[option] = back[config[field]]
    layers = zip(config["conv_dim"], config["conv_kernel"], config["conv_stride"], strict=True)
    options["conv_feature_layers"] = str([tuple(layer) for layer in layers])
    return options


def frame_rate_hz(conv_feature_layers: str, sample_rate: int) -> float:
    """Encoder frames per second."""
    layers: list[ConvLayer] = parse_conv_layers(conv_feature_layers)
    return sample_rate / conv_stride(layers)
