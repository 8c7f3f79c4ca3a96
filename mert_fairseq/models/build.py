"""From the model's options to its parts: the only place where the two meet."""

from collections.abc import Callable, Sequence
from typing import Any

from mert_fairseq.models.mert_config import MERTConfig
from mert_fairseq.modules.encoder import TransformerEncoderExtend
from mert_fairseq.modules.heads import Regression
from mert_fairseq.modules.layers import LayerSpec, layer_specs
from mert_fairseq.modules.masking import Filling, SpanLaw, staged
from mert_fairseq.modules.mixing import Mixture
from mert_fairseq.options import number_list
from mert_fairseq.teachers.cqt import CQTTeacher
from mert_fairseq.teachers.cqt_plan import whole_octaves
from mert_fairseq.teachers.logmel import LogMelTeacher


def encoder(cfg: MERTConfig) -> TransformerEncoderExtend:
    """The Transformer."""
    norm = {(True, False): "deepnorm", (False, True): "subln"}.get(
        (cfg.deepnorm, cfg.subln), "pre" if cfg.layer_norm_first else "post"
    )
    base = LayerSpec(
        embed_dim=cfg.encoder_embed_dim,
        type=str(cfg.layer_type),
        ffn_dim=cfg.encoder_ffn_embed_dim,
        heads=cfg.encoder_attention_heads,
        dropout=cfg.dropout,
        attention_dropout=cfg.attention_dropout,
        activation_dropout=cfg.activation_dropout,
        activation=str(cfg.activation_fn),
        norm=norm,
        attention_relax=cfg.attention_relax,
        conv_kernel=cfg.depthwise_conv_kernel_size,
        conformer_attention=cfg.attn_type,
    )
    overrides: dict[str, Sequence[Any]] = {
        "type": cfg.encoder_layer_types,
        "dropout": cfg.encoder_layer_dropouts,
        "ffn_dim": cfg.encoder_layer_ffn_dims,
        "heads": cfg.encoder_layer_heads,
        "attention_relax": cfg.encoder_layer_relax,
    }
    specs = layer_specs(base, cfg.encoder_layers, overrides)
    if cfg.attn_type and all(spec.type == "transformer" for spec in specs):
        raise ValueError(
            f"attn_type {cfg.attn_type!r} is of conformer layers and there is none. Leave it unset, or set layer_type: "
            f"conformer."
        )
    return TransformerEncoderExtend(
        specs,
        conv_pos=cfg.conv_pos,
        conv_pos_groups=cfg.conv_pos_groups,
        pos_conv_depth=cfg.pos_conv_depth,
        conv_pos_batch_norm=cfg.conv_pos_batch_norm,
        input_dropout=cfg.dropout,
        layerdrop=cfg.encoder_layerdrop,
        required_seq_len_multiple=cfg.required_seq_len_multiple,
        checkpoint_activations=cfg.checkpoint_activations,
    )


def mixture(cfg: MERTConfig) -> Mixture:
    """The in-batch mixture."""
    return Mixture(
        prob=cfg.mixture_prob,
        snippet_samples=_pair("inbatch_noise_augment_len_range", cfg.inbatch_noise_augment_len_range),
        snippets=_pair("inbatch_noise_augment_number_range", cfg.inbatch_noise_augment_number_range),
        volume=cfg.inbatch_noise_augment_volume,
    )


def masking_laws(cfg: MERTConfig) -> tuple[Callable[[int], SpanLaw], SpanLaw, Filling]:
    """How frames are masked at an update, how channels are, and what fills masked frames."""
    prob, prob_steps = _schedule(cfg, "mask_dynamic_prob", cfg.mask_prob)
    length, length_steps = _schedule(cfg, "mask_dynamic_len", cfg.mask_length)

    def frame_law(num_updates: int) -> SpanLaw:
        return SpanLaw(
            prob=prob(num_updates),
            length=int(length(num_updates)),
            selection=str(cfg.mask_selection),
            other=cfg.mask_other,
            no_overlap=cfg.no_mask_overlap,
            min_space=cfg.mask_min_space,
            min_masks=2,
        )

    for update in (0, *prob_steps, *length_steps):  # what cannot be drawn is refused now, not at its update
        frame_law(int(update))
    channel_law = SpanLaw(
        prob=cfg.mask_channel_prob,
        length=cfg.mask_channel_length,
        selection=str(cfg.mask_channel_selection),
        other=cfg.mask_channel_other,
        no_overlap=cfg.no_mask_channel_overlap,
        min_space=cfg.mask_channel_min_space,
    )
    return frame_law, channel_law, Filling(cfg.mask_origin, cfg.mask_replace, cfg.mask_replace_type)


def _schedule(cfg: MERTConfig, name: str, default: float) -> tuple[Callable[[int], float], list[float]]:
    """A value by update, and the updates at which it changes."""
    steps = number_list(f"{name}_step", getattr(cfg, f"{name}_step"))
    return staged(number_list(name, getattr(cfg, name)), steps, default, name), steps


def feature_cqt(cfg: MERTConfig, sample_rate: int, hop_samples: int) -> CQTTeacher | None:
    """The CQT that joins the conv features, if it is asked for."""
    if not cfg.feature_extractor_cqt:
        return None
    return _cqt_teacher(cfg, "feature_extractor_cqt_bins", -1, sample_rate, hop_samples)


def _cqt_teacher(
    cfg: MERTConfig, bins_option: str, bins_per_octave: int, sample_rate: int, hop_samples: int
) -> CQTTeacher:
    """The CQT on the encoder's clock.

    Raises:
        ValueError: if bins and octaves do not fit each other or the sample rate; gives options that do.
    """
    bins, octaves, fmin_hz = getattr(cfg, bins_option), cfg.audio_cqt_octaves, cfg.audio_cqt_fmin
    if not 1 <= octaves <= bins or fmin_hz <= 0 or bins_per_octave == 0:
        raise ValueError(
            f"model.{bins_option} is {bins}, model.audio_cqt_octaves {octaves}, model.audio_cqt_bins_per_octave "
            f"{bins_per_octave} and model.audio_cqt_fmin {fmin_hz:g}; expected at least one bin per octave, and a "
            f"frequency above 0, such as 336, 7, -1 and 32.7."
        )
    per_octave = bins_per_octave if bins_per_octave > 0 else bins // octaves
    top_hz = fmin_hz * 2 ** ((bins - 1) / per_octave)
    if top_hz > sample_rate / 2:
        fitting = whole_octaves(sample_rate, per_octave, fmin_hz)
        wanted = [f"++model.{bins_option}={fitting * per_octave}"]
        wanted += [f"++model.audio_cqt_octaves={fitting}"] if bins_per_octave < 1 else []
        raise ValueError(
            f"model.{bins_option}: the top one of {bins} bins, {per_octave} per octave from {fmin_hz:g} Hz on, lies at "
            f"{top_hz:.1f} Hz, expected at most {sample_rate / 2:g} Hz, half of the sample rate. "
            + (f"Give {' '.join(wanted)}." if fitting > 0 else "Lower model.audio_cqt_fmin.")
        )
    return CQTTeacher(sample_rate, hop_samples, bins, per_octave, fmin_hz)


def regressions(cfg: MERTConfig, sample_rate: int, hop_samples: int) -> tuple[Regression | None, Regression | None]:
    """The CQT head and the log-mel head, where they are asked for."""
    cqt = mel = None
    if cfg.audio_cqt_loss_m:
        teacher = _cqt_teacher(cfg, "audio_cqt_bins", cfg.audio_cqt_bins_per_octave, sample_rate, hop_samples)
        cqt = Regression(cfg.encoder_embed_dim, cfg.audio_cqt_bins, teacher)
    if cfg.audio_mel_loss_m:
        mel_teacher = LogMelTeacher(sample_rate=sample_rate, hop_samples=hop_samples, bins=cfg.audio_mel_bins)
        mel = Regression(cfg.encoder_embed_dim, cfg.audio_mel_bins, mel_teacher, standardise=True)
    return cqt, mel


def _pair(name: str, text: str) -> tuple[int, int]:
    values = number_list(name, text)
    if len(values) != 2:
        raise ValueError(f"{name} is {text!r}, expected two numbers, '[least, most]'.")
    return int(values[0]), int(values[1])
