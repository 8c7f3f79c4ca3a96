"""Options of the model ``mert``: HuBERT's, and what MERT adds."""

from dataclasses import dataclass, field
from typing import Any, List  # noqa: UP035 (the only list that fairseq's argparse bridge reads)

from fairseq.models.hubert.hubert import HubertConfig

from mert_fairseq.options import option, require_defaults


def _per_layer(what: str) -> Any:
    return field(
        default_factory=list, metadata={"help": f"{what} of each encoder layer, first to last; empty for all alike"}
    )


@dataclass
class MERTConfig(HubertConfig):
    """HuBERT's fields keep their meaning and default; the published recipes parse unchanged."""

    pos_conv_depth: int = option(1, "convolutions that encode positions; 1 as in wav2vec 2.0, more as in data2vec")

    # The teachers
    audio_cqt_loss_m: bool = option(
        False, "predict the CQT of masked frames; off as in the published default, on in its recipes"
    )
    audio_cqt_bins: int = option(84, "bins of the CQT target over all its octaves; 336 (48 per octave) in the paper")
    audio_cqt_octaves: int = option(
        7, "octaves of the CQT target, and of feature_extractor_cqt; 7 from C1 end at 4.2 kHz, 6 fit audio of 8 kHz"
    )
    audio_cqt_bins_per_octave: int = option(
        -1, "bins per octave of the CQT target, in place of audio_cqt_octaves; -1: audio_cqt_bins / audio_cqt_octaves"
    )
    audio_cqt_fmin: float = option(32.7, "frequency of bin 0 of the CQTs, in Hz; 32.7 is C1")
    audio_mel_loss_m: bool = option(False, "predict the log-mel spectrum of masked frames, standardised over the batch")
    audio_mel_bins: int = option(84, "bins of the log-mel target")
    random_codebook: int = option(
        -1, "codebooks drawn (with replacement) an update, only their losses count; -1 for all"
    )

    # The acoustic head
    learnable_temp: bool = option(False, "learn a temperature for each codebook in place of logit_temp")
    learnable_temp_init: float = option(0.1, "temperature to start from; that of logit_temp")
    learnable_temp_max: float = option(100.0, "largest factor on the cosine that is learnt, as in CLIP")

    # Masking
    mask_replace: float = option(0.0, "probability that a masked frame takes another frame's features")
    mask_replace_type: str = option("in_sample", "where those come from: in_sample (the same clip) or in_batch")
    mask_origin: float = option(
        0.0, "probability that a masked frame keeps its own features; it is predicted all the same"
    )
    mask_dynamic_prob: str = option("[]", "mask_prob by stage, such as '[0.5, 0.8]'; empty for mask_prob throughout")
    mask_dynamic_prob_step: str = option("[]", "updates at which the next mask_prob begins, one fewer than the values")
    mask_dynamic_len: str = option("[]", "mask_length by stage, in frames; empty for mask_length throughout")
    mask_dynamic_len_step: str = option("[]", "updates at which the next mask_length begins")

    # Mixture
    mixture_prob: float = option(
        -1.0, "probability that a clip is mixed with pieces of others; 0.5 in the paper, -1 for never"
    )
    inbatch_noise_augment_len_range: str = option(
        "[8000, 24000]", "shortest and longest piece, in samples (1/3 s to 1 s at 24 kHz)"
    )
    inbatch_noise_augment_number_range: str = option("[1, 3]", "fewest and most pieces that a mixed clip gets")
    inbatch_noise_augment_volume: float = option(1.0, "factor on the pieces")

    # Input
    wav_normalize: bool = option(False, "give each clip zero mean and unit deviation before the conv stack")
    do_cnn_feat_stable_layernorm: bool = option(
        False, "norm of the conv features without parameters, and another norm after their projection"
    )
    feature_extractor_cqt: bool = option(False, "append the input's CQT to the conv features")
    feature_extractor_cqt_bins: int = option(84, "bins of that CQT")
    pretrained_weights: str = option(
        "", "checkpoint whose conv stack, Transformer and fitting heads start this one; empty for random weights"
    )

    exact_padding: bool = option(
        False,
        "train on padded clips as if each were alone; off as in the published training, whose conv norm sees the "
        "padding. Features are always extracted so",
    )

    # The encoder
    attention_relax: float = option(
        -1.0,
        "scale of relaxed softmax against float16 overflow; 32 at 330M, -1 for none. Used where attention weights are "
        "returned; the fused kernels of training keep scores in float32 anyway",
    )
    deepnorm: bool = option(False, "DeepNorm residuals and initialisation; needs layer_norm_first: false")
    subln: bool = option(False, "Sub-LN: norms before the output projections; needs layer_norm_first: true")
    compile: str = option(
        "off",
        "torch.compile: off, layers (each encoder layer), or all (the conv stack and the positional convolution too); "
        "the first update takes a minute or more, checkpoints are the same",
    )
    encoder_layer_types: List[str] = _per_layer("type (transformer or conformer)")
    encoder_layer_dropouts: List[float] = _per_layer("dropout")
    encoder_layer_ffn_dims: List[int] = _per_layer("feed-forward width")
    encoder_layer_heads: List[int] = _per_layer("number of attention heads")
    encoder_layer_relax: List[float] = _per_layer("scale of relaxed softmax")

    # Accepted so that published recipes parse
    audio_extract_type: str = option("w2v_conv", "front end; only wav2vec 2.0's conv stack is built")
    music_conv_nmel: int = option(80, "of a front end that is not built: leave it")
    music_conv_hoplen: int = option(40, "of a front end that is not built: leave it")
    emb_grad_mult: float = option(1.0, "had no effect in the published code: leave it")
    chunk_nce_cal: int = option(-1, "needless here, where the loss is one matrix product; accepted and ignored")


def check_config(cfg: MERTConfig) -> None:
    """Refuse options that the published code lists and nothing here obeys, and values that cannot be.

    Raises:
        ValueError: naming the option, its value, and what to do instead.
    """
    front_end = "Other front ends than the wav2vec 2.0 conv stack are not built: remove it."
    dead = "It had no effect in the published code: remove it."
    require_defaults(
        [
            ("audio_extract_type", str(cfg.audio_extract_type), "w2v_conv", front_end),
            ("music_conv_nmel", cfg.music_conv_nmel, 80, front_end),
            ("music_conv_hoplen", cfg.music_conv_hoplen, 40, front_end),
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
