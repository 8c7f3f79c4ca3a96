"""Builds the parts of the model from its options; no other module translates options into parts."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from mert_fairseq.frames import ConvLayer, conv_stride
from mert_fairseq.models import mert_config
from mert_fairseq.models.mert_config import MERTConfig
from mert_fairseq.models.spectral_front_end import SpectralFrontEnd
from mert_fairseq.modules.conv_stack import ConvStack
from mert_fairseq.modules.encoder import TransformerEncoderExtend
from mert_fairseq.modules.heads import SpectrumHead
from mert_fairseq.modules.layers import LayerSpec, layer_specs
from mert_fairseq.modules.mask_sampler import MaskSampler
from mert_fairseq.modules.masking import MaskReplacement, SpanMaskConfig, step_schedule
from mert_fairseq.modules.waveform import Mixture
from mert_fairseq.options import number_list
from mert_fairseq.teachers.cqt import CQTTeacher
from mert_fairseq.teachers.cqt_plan import HALF_WIDTH, whole_octaves
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
            f"attn_type is {cfg.attn_type!r}, but the encoder has no conformer layer. Remove it, or set layer_type: "
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


def mask_configs(cfg: MERTConfig) -> tuple[Callable[[int], SpanMaskConfig], SpanMaskConfig, MaskReplacement]:
    """The time mask as a function of the update number, the channel mask, and the content of masked frames."""
    prob, prob_steps = _schedule(cfg, "mask_dynamic_prob", cfg.mask_prob)
    length, length_steps = _schedule(cfg, "mask_dynamic_len", cfg.mask_length)

    def time_mask(num_updates: int) -> SpanMaskConfig:
        return SpanMaskConfig(
            prob=prob(num_updates),
            length=int(length(num_updates)),
            selection=str(cfg.mask_selection),
            other=cfg.mask_other,
            no_overlap=cfg.no_mask_overlap,
            min_space=cfg.mask_min_space,
            min_masks=2,
        )

    for update in (0, *prob_steps, *length_steps):  # report invalid values now, not at their update
        time_mask(int(update))
    channel_mask = SpanMaskConfig(
        prob=cfg.mask_channel_prob,
        length=cfg.mask_channel_length,
        selection=str(cfg.mask_channel_selection),
        other=cfg.mask_channel_other,
        no_overlap=cfg.no_mask_channel_overlap,
        min_space=cfg.mask_channel_min_space,
    )
    return time_mask, channel_mask, MaskReplacement(cfg.mask_origin, cfg.mask_replace, cfg.mask_replace_type)


def mask_sampler(cfg: MERTConfig, conv_layers: list[ConvLayer], targets_per_frame: float) -> MaskSampler | None:
    """Samples masks before the model sees the batch; None if a schedule (mask_dynamic_*) changes them in training."""
    if any(_schedule(cfg, name, 0.0)[1] for name in ("mask_dynamic_prob", "mask_dynamic_len")):
        return None
    spans = mask_configs(cfg)[0](0)
    return MaskSampler(spans, tuple(conv_layers), targets_per_frame, cfg.exact_padding)


def _schedule(cfg: MERTConfig, name: str, default: float) -> tuple[Callable[[int], float], list[float]]:
    """An option's value as a function of the update number, and the updates at which it changes."""
    steps = number_list(f"{name}_step", getattr(cfg, f"{name}_step"))
    return step_schedule(number_list(name, getattr(cfg, name)), steps, default, name), steps


FrontEnd = ConvStack | SpectralFrontEnd


def front_end(cfg: MERTConfig, sample_rate: int, conv_layers: list[ConvLayer]) -> FrontEnd:
    """The conv stack, or the spectral frames that replace it.

    Raises:
        ValueError: if the bins or the window of the spectral frames do not fit the sample rate.
    """
    if mert_config.front_end(cfg) != "spectral":
        return ConvStack(conv_layers, mode=str(cfg.extractor_mode), bias=cfg.conv_bias)
    hop_samples = conv_stride(conv_layers)
    window_samples, fft_samples = mert_config.spectral_windows(cfg, sample_rate)
    if window_samples < 2 * hop_samples:
        raise ValueError(
            f"model.front_end_window is {cfg.front_end_window:g} s, expected at least two frames, "
            f"{2 * hop_samples / sample_rate:.4g} s, such as 0.1."
        )
    # Log compression enlarges the error of small magnitudes: twice the usual half width keeps it at 2e-5 of the scale.
    kernels = {"longest_samples": window_samples, "half_width": 2 * HALF_WIDTH}
    cqt = _cqt_teacher(cfg, "front_end_cqt_bins", -1, sample_rate, hop_samples, **kernels)
    try:
        mel = LogMelTeacher(sample_rate, hop_samples, cfg.front_end_mel_bins, fft_samples)
    except ValueError as error:
        raise ValueError(
            f"model.front_end_mel_bins {cfg.front_end_mel_bins} and model.front_end_window {cfg.front_end_window:g} do "
            f"not fit: {error}"
        ) from error
    return SpectralFrontEnd(conv_layers, cqt, mel)


def feature_cqt(cfg: MERTConfig, sample_rate: int, hop_samples: int) -> CQTTeacher | None:
    """The CQT that is appended to the conv features, or None."""
    if mert_config.front_end(cfg) != "both":
        return None
    return _cqt_teacher(cfg, "feature_extractor_cqt_bins", -1, sample_rate, hop_samples)


def _cqt_teacher(
    cfg: MERTConfig,
    bins_option: str,
    bins_per_octave: int,
    sample_rate: int,
    hop_samples: int,
    **kernels: Any,
) -> CQTTeacher:
    """A CQT with the encoder's frame rate; ``kernels`` are further options of the teacher.

    Raises:
        ValueError: if the bins do not fit the octaves or the sample rate; the message names options that fit.
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
            f"model.{bins_option}: the highest of {bins} bins, {per_octave} per octave from {fmin_hz:g} Hz, lies at "
            f"{top_hz:.1f} Hz, expected at most {sample_rate / 2:g} Hz, half of the sample rate. "
            + (f"Set {' '.join(wanted)}." if fitting > 0 else "Lower model.audio_cqt_fmin.")
        )
    return CQTTeacher(sample_rate, hop_samples, bins, per_octave, fmin_hz, **kernels)


def spectrum_heads(
    cfg: MERTConfig, sample_rate: int, hop_samples: int
) -> tuple[SpectrumHead | None, SpectrumHead | None]:
    """The CQT head and the log-mel head, or None for a head that is off."""
    cqt = mel = None
    if cfg.audio_cqt_loss_m:
        teacher = _cqt_teacher(cfg, "audio_cqt_bins", cfg.audio_cqt_bins_per_octave, sample_rate, hop_samples)
        cqt = SpectrumHead(cfg.encoder_embed_dim, cfg.audio_cqt_bins, teacher)
    if cfg.audio_mel_loss_m:
        mel_teacher = LogMelTeacher(sample_rate=sample_rate, hop_samples=hop_samples, bins=cfg.audio_mel_bins)
        mel = SpectrumHead(cfg.encoder_embed_dim, cfg.audio_mel_bins, mel_teacher, standardise=True)
    return cqt, mel


def _pair(name: str, text: str) -> tuple[int, int]:
    values = number_list(name, text)
    if len(values) != 2:
        raise ValueError(f"{name} is {text!r}, expected two numbers, '[least, most]'.")
    return int(values[0]), int(values[1])


COMPILE_CHOICES = ("off", "layers", "all")


def compile_parts(conv_stack: FrontEnd, encoder: TransformerEncoderExtend, which: str, **options: Any) -> None:
    """Compile parts of the model in place with ``torch.compile``; parameters keep their names.

    Masks and mixtures are sampled with numpy, and layer drop is decided in Python. Both stay outside the graphs, so
    that neither another number of masked frames nor a dropped layer triggers a new compilation. All layers of one type
    share a graph.

    Args:
        conv_stack: compiled with ``all``. ``ConvStack.without_padding`` and a spectral front end run uncompiled.
        encoder: its layers are compiled with ``layers`` and ``all``, its positional convolution with ``all``.
        which: off, layers or all.
        options: for ``torch.compile``.

    Raises:
        ValueError: if ``which`` is anything else.
    """
    which = "off" if which == "False" else which  # YAML reads off without quotes as false
    if which not in COMPILE_CHOICES:
        raise ValueError(f"model.compile is {which!r}, expected one of {COMPILE_CHOICES}.")
    parts: list[nn.Module] = [] if which == "off" else list(encoder.layers)
    if which == "all":
        parts += [conv_stack] if isinstance(conv_stack, ConvStack) else []
        parts += [] if encoder.pos_conv is None else [encoder.pos_conv]
    for part in parts:
        part.compile(**options)
