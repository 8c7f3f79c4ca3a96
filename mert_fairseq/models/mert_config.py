"""Options of the model ``mert``: those of HuBERT, and those that MERT adds."""

from dataclasses import dataclass, field
from typing import Any, List  # noqa: UP035 (fairseq converts only typing.List to command-line options)

from fairseq.models.hubert.hubert import HubertConfig

from mert_fairseq.options import option, require_defaults


def _per_layer(what: str) -> Any:
    return field(
        default_factory=list,
        metadata={"help": f"{what} of each encoder layer, first to last; empty for all equal"},
    )


FRONT_ENDS = ("wave", "spectral", "both")


@dataclass
class MERTConfig(HubertConfig):
    """HuBERT's fields keep their meaning and default. The published recipes parse unchanged."""

    pos_conv_depth: int = option(1, "number of positional convolutions; 1 as in wav2vec 2.0, more as in data2vec")

    # The teachers
    audio_cqt_loss_m: bool = option(
        False, "predict the CQT of masked frames; off as in the published default, on in its recipes"
    )
    audio_cqt_bins: int = option(84, "bins of the CQT target in all octaves; 336 (48 per octave) in the paper")
    audio_cqt_octaves: int = option(
        7, "octaves of the CQT target and of feature_extractor_cqt; 7 from C1 reach 4.2 kHz, 6 fit audio at 8 kHz"
    )
    audio_cqt_bins_per_octave: int = option(
        -1, "bins per octave of the CQT target, instead of audio_cqt_octaves; -1: audio_cqt_bins / audio_cqt_octaves"
    )
    audio_cqt_fmin: float = option(32.7, "frequency of bin 0 of the CQTs, in Hz; 32.7 is C1")
    audio_mel_loss_m: bool = option(False, "predict the log-mel spectrum of masked frames, standardised over the batch")
    audio_mel_bins: int = option(84, "bins of the log-mel target")
    random_codebook: int = option(
        -1, "number of codebooks sampled (with replacement) per update, only their losses count; -1 for all"
    )

    # The acoustic head
    learnable_temp: bool = option(False, "learn a temperature per codebook instead of logit_temp")
    learnable_temp_init: float = option(0.1, "initial temperature; the default of logit_temp")
    learnable_temp_max: float = option(100.0, "maximum of the learned factor on the cosine, as in CLIP")

    # Masking
    mask_replace: float = option(0.0, "probability that a masked frame takes another frame's features")
    mask_replace_type: str = option("in_sample", "their source: in_sample (the same clip) or in_batch (any clip)")
    mask_origin: float = option(
        0.0, "probability that a masked frame keeps its own features; it is predicted all the same"
    )
    mask_dynamic_prob: str = option("[]", "mask_prob per stage, such as '[0.5, 0.8]'; empty for mask_prob throughout")
    mask_dynamic_prob_step: str = option("[]", "updates at which the next mask_prob begins, one fewer than the values")
    mask_dynamic_len: str = option("[]", "mask_length per stage, in frames; empty for mask_length throughout")
    mask_dynamic_len_step: str = option("[]", "updates at which the next mask_length begins")

    # Mixture
    mixture_prob: float = option(
        -1.0, "probability that a clip is mixed with snippets of others; 0.5 in the paper, -1 for never"
    )
    inbatch_noise_augment_len_range: str = option(
        "[8000, 24000]", "shortest and longest snippet, in samples (1/3 s to 1 s at 24 kHz)"
    )
    inbatch_noise_augment_number_range: str = option("[1, 3]", "minimum and maximum number of snippets per mixed clip")
    inbatch_noise_augment_volume: float = option(1.0, "factor on the snippets")

    # Input
    wav_normalize: bool = option(False, "scale each clip to zero mean and unit variance before the conv stack")
    do_cnn_feat_stable_layernorm: bool = option(
        False, "normalise the conv features without parameters, and once more after their projection"
    )
    front_end: str = option(
        "wave",
        "input of the encoder: wave (the conv stack, as published), spectral (log-compressed CQT and log-mel frames "
        "instead) or both (conv stack and CQT, the published feature_extractor_cqt)",
    )
    front_end_cqt_bins: int = option(
        168, "bins of the spectral front end's CQT; 168 in 7 octaves (audio_cqt_octaves) are 24 per octave"
    )
    front_end_mel_bins: int = option(64, "log-mel bands of the spectral front end")
    front_end_window: float = option(
        0.1,
        "longest window of the spectral front end, in seconds; longer ones resolve low notes better, but show more of "
        "the masked frames through their visible neighbours",
    )
    feature_extractor_cqt: bool = option(
        False, "append the input's CQT to the conv features; the published name of front_end: both"
    )
    feature_extractor_cqt_bins: int = option(84, "bins of that CQT")
    pretrained_weights: str = option(
        "", "checkpoint to initialise the conv stack, the Transformer and matching heads from; empty for random weights"
    )

    exact_padding: bool = option(
        False,
        "train on padded clips as if they had no padding; off as in the published training, whose conv norm includes "
        "the padding. Feature extraction always excludes padding",
    )

    # The encoder
    attention_relax: float = option(
        -1.0,
        "scale of the relaxed softmax against float16 overflow; 32 for 330M, -1 for none. Only used where attention "
        "weights are returned: the fused kernels of training keep scores in float32",
    )
    deepnorm: bool = option(False, "DeepNorm residuals and initialisation; needs layer_norm_first: false")
    subln: bool = option(False, "Sub-LN: norms before the output projections; needs layer_norm_first: true")
    compile: str = option(
        "off",
        "torch.compile: off, layers (each encoder layer), or all (also the conv stack and the positional convolution). "
        "The first update takes a minute or more; checkpoints are the same",
    )
    encoder_layer_types: List[str] = _per_layer("type (transformer or conformer)")
    encoder_layer_dropouts: List[float] = _per_layer("dropout")
    encoder_layer_ffn_dims: List[int] = _per_layer("feed-forward width")
    encoder_layer_heads: List[int] = _per_layer("number of attention heads")
    encoder_layer_relax: List[float] = _per_layer("scale of relaxed softmax")

    # Accepted so that published recipes parse
    audio_extract_type: str = option("w2v_conv", "front end; only the conv stack of wav2vec 2.0 is supported")
    music_conv_nmel: int = option(80, "of an unsupported front end: keep the default")
    music_conv_hoplen: int = option(40, "of an unsupported front end: keep the default")
    emb_grad_mult: float = option(1.0, "had no effect in the published code: keep the default")
    chunk_nce_cal: int = option(-1, "ignored: the loss is one matrix product and needs no chunks")


def front_end(cfg: MERTConfig) -> str:
    """The front end: wave, spectral or both; ``feature_extractor_cqt`` means both.

    Raises:
        ValueError: if it is unknown, or contradicts ``feature_extractor_cqt``.
    """
    if cfg.front_end not in FRONT_ENDS:
        raise ValueError(f"model.front_end is {cfg.front_end!r}, expected one of {', '.join(FRONT_ENDS)}.")
    if not cfg.feature_extractor_cqt:
        return cfg.front_end
    if cfg.front_end == "spectral":
        raise ValueError(
            "model.feature_extractor_cqt appends a CQT to the conv stack, but model.front_end: spectral has no conv "
            "stack. Set front_end: both, or feature_extractor_cqt: false."
        )
    return "both"


def spectral_windows(cfg: MERTConfig, sample_rate: int) -> tuple[int, int]:
    """Samples of the spectral front end's longest constant-Q window, and of its mel spectrum's transform.

    The transform is the largest power of two within the window.
    """
    window_samples = round(cfg.front_end_window * sample_rate)
    return window_samples, 1 << max(0, window_samples.bit_length() - 1)


def check_config(cfg: MERTConfig) -> None:
    """Check for published options that have no effect here, and for invalid values.

    Raises:
        ValueError: names the option, its value and the remedy.
    """
    other_input = "Only the conv stack of wav2vec 2.0 is supported here: remove it, or see model.front_end."
    dead = "It had no effect in the published code: remove it."
    require_defaults(
        [
            ("audio_extract_type", str(cfg.audio_extract_type), "w2v_conv", other_input),
            ("music_conv_nmel", cfg.music_conv_nmel, 80, other_input),
            ("music_conv_hoplen", cfg.music_conv_hoplen, 40, other_input),
            ("emb_grad_mult", cfg.emb_grad_mult, 1.0, dead),
            ("latent_temp", list(cfg.latent_temp), [2, 0.5, 0.999995], dead),
            ("pos_enc_type", cfg.pos_enc_type, "abs", "Positions come from the convolution (conv_pos): remove it."),
        ]
    )
    if cfg.deepnorm and cfg.layer_norm_first:
        raise ValueError("deepnorm needs post-norm layers, found layer_norm_first: true. Set one of them to false.")
    if cfg.subln and not cfg.layer_norm_first:
        raise ValueError(
            "subln needs pre-norm layers, found layer_norm_first: false. Set it to true, or subln to false."
        )
    for name in ("logit_temp", "learnable_temp_init", "learnable_temp_max"):
        if (value := getattr(cfg, name)) <= 0:
            raise ValueError(f"{name} is {value:g}, expected a number above 0, such as {getattr(MERTConfig, name):g}.")
