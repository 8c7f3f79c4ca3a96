"""MERT: masked prediction of music from raw audio (arXiv:2306.00107), as the fairseq model ``mert``."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from fairseq.models import register_model
from fairseq.modules import GradMultiply
from torch import Tensor, nn

from mert_fairseq import frames
from mert_fairseq.checkpointing import warm_start
from mert_fairseq.models import build
from mert_fairseq.models.mert_config import MERTConfig, check_config
from mert_fairseq.models.mert_heads import MERTHeads
from mert_fairseq.modules import batch, clip_rng, masking
from mert_fairseq.modules.batch import FramePadding, clip_lengths, frame_counts
from mert_fairseq.modules.conv_stack import ConvStack
from mert_fairseq.modules.waveform import float_wave, standardised

logger = logging.getLogger(__name__)

# Shape letters: B batch, T samples, C conv channels, F frames, D model width, Q codebooks, L labels, S masked frames.


@register_model("mert", dataclass=MERTConfig)
class MERTModel(MERTHeads):
    """Conv stack, Transformer, and heads on the masked frames; parameters named as in the published checkpoints.

    Args:
        cfg: the options.
        sample_rate: of the wave, in Hz.
        num_classes: size of each codebook's dictionary, including fairseq's 4 special symbols.
        labels: names of the codebooks, to check whether the heads of ``pretrained_weights`` were trained on the same.

    Raises:
        ValueError: if an option is unsupported or conflicts with others.
    """

    pretrained_weights_option = "+model.pretrained_weights"  # named in errors about checkpoints that do not fit

    def __init__(
        self, cfg: MERTConfig, sample_rate: int, num_classes: Sequence[int], labels: Sequence[str] = ()
    ) -> None:
        super().__init__()
        check_config(cfg)
        if cfg.chunk_nce_cal > 0:
            logger.info("chunk_nce_cal is ignored: the loss is one matrix product and needs no chunks")
        conv_layers = frames.parse_conv_layers(cfg.conv_feature_layers)
        self.hop_samples = frames.conv_stride(conv_layers)
        self.targets_per_frame = cfg.label_rate * self.hop_samples / sample_rate
        self.wav_normalize = cfg.wav_normalize
        self.exact_padding = cfg.exact_padding
        self.feature_grad_mult = cfg.feature_grad_mult
        self.mixture = build.mixture(cfg)
        self.time_mask, self.channel_mask, self.mask_replacement = build.mask_configs(cfg)
        self.mask_sampler = build.mask_sampler(cfg, conv_layers, self.targets_per_frame)

        width = cfg.encoder_embed_dim
        self.feature_extractor = build.front_end(cfg, sample_rate, conv_layers)
        self.learns_features = isinstance(self.feature_extractor, ConvStack)
        channels = self.feature_extractor.channels
        self.feature_cqt = build.feature_cqt(cfg, sample_rate, self.hop_samples)
        if self.feature_cqt is not None:
            channels += cfg.feature_extractor_cqt_bins
        stable = cfg.do_cnn_feat_stable_layernorm
        self.layer_norm = nn.LayerNorm(channels, elementwise_affine=not stable)
        self.post_extract_proj = nn.Linear(channels, width) if channels != width else None
        self.post_extract_norm = nn.LayerNorm(width) if stable else None
        self.dropout_input = nn.Dropout(cfg.dropout_input)
        self.mask_emb = nn.Parameter(torch.empty(width).uniform_())
        self.encoder = build.encoder(cfg)
        self._build_heads(cfg, sample_rate, num_classes)
        self.num_updates = 0
        build.compile_parts(self.feature_extractor, self.encoder, str(cfg.compile))
        if cfg.pretrained_weights:
            warm_start.start_from(self, cfg.pretrained_weights, labels)

    @classmethod
    def build_model(cls, cfg: MERTConfig, task: Any) -> "MERTModel":
        """Build the model for fairseq: sample rate and dictionaries come from the task.

        Raises:
            ValueError: if model and task have different label rates, which would pair frames with wrong labels.
        """
        if cfg.label_rate != task.cfg.label_rate:
            raise ValueError(
                f"model.label_rate is {cfg.label_rate:g} Hz, but task.label_rate is {task.cfg.label_rate:g} Hz. Remove "
                f"model.label_rate, or set it to ${{task.label_rate}}."
            )
        classes = [len(dictionary) for dictionary in task.dictionaries]
        return cls(cfg, task.cfg.sample_rate, classes, list(getattr(task.cfg, "labels", ())))

    def set_num_updates(self, num_updates: int) -> None:
        """Store the update number; fairseq calls this before each update, also after a resume."""
        super().set_num_updates(num_updates)
        self.num_updates = num_updates

    def forward(
        self,
        source: Tensor,
        target_list: Sequence[Tensor] | Tensor | None = None,
        padding_mask: Tensor | None = None,
        mask: bool = True,
        features_only: bool = False,
        output_layer: int | None = None,
        mask_indices: Tensor | None = None,
        mask_positions: Tensor | None = None,
        clip_seeds: clip_rng.ClipSeeds | None = None,
        lengths: np.ndarray | None = None,
    ) -> dict[str, Any]:
        """Encode a batch and predict its masked frames.

        Args:
            source: (B, T), int16 PCM or float in [-1, 1].
            target_list: Q tensors (B, L) of classes, or one (Q, B, L).
            padding_mask: (B, T) bool, True for padding; None without padding.
            mask: whether to mask frames.
            features_only: return the encoder's output without predictions.
            output_layer: layer to return, counted from 1, before any final norm; None for the last layer after the
                final norm.
            mask_indices: (B, F) bool, the frames to mask, as ``mask_sampler`` sampled them or to repeat a batch;
                sampled here if None.
            mask_positions: (S,) int64, the positions of these frames among all B x F frames, without padding; computed
                from ``mask_indices`` if None, which waits for the device.
            clip_seeds: (B,) int64, seeds of masks and mixtures, in an array on the CPU so that reading them does not
                wait for the device; sampled from torch's generator if None.
            lengths: (B,) samples before each clip's padding, on the CPU for the same reason; read from
                ``padding_mask`` if None.

        With ``features_only``, and in training with the option ``exact_padding``, a padded clip gets the same frames
        and values as without padding. Otherwise padding is treated as in the published training: it affects the group
        norm of the conv stack, and a clip may have one frame that depends on it.

        Returns:
            with ``features_only``: x (B, F, D), padding_mask (B, F) or None, features (B, F, D), layer_results.
            Otherwise: ``masked`` and ``unmasked``, lists of ``CodePrediction``; the scalar ``features_pen`` and, if the
            heads exist, ``cqt_pred_m`` and ``mel_pred_m``; padding_mask; mask_indices; and ``masked_frames``, the
            number of predicted frames.

        Raises:
            ValueError: if the layer does not exist, there is nothing to predict, or a clip is shorter than one frame.
        """
        exact = features_only or self.exact_padding
        lengths = clip_lengths(padding_mask, lengths)
        wave = float_wave(source)
        mixed_wave = wave
        if self.training and not features_only:
            mixed_wave = self.mixture(wave, clip_rng.clip_seeds_on_cpu(clip_seeds, wave.size(0)), lengths)
        exact_lengths = lengths if exact else None
        features, features_pen, targets = self._features(mixed_wave, target_list, padding_mask, exact_lengths)
        padding = self._frame_padding(lengths, source.size(1), features, exact)
        padded = None if padding is None else padding.mask
        x, masked = features, None
        if mask:
            x, masked = self._mask(features, padding, (mask_indices, mask_positions), clip_seeds)
        x, layer_results = self.encoder(x, padded, layer=self._layer_from_0(output_layer), exact_padding=exact)
        if features_only:
            return {"x": x, "padding_mask": padded, "features": features, "layer_results": layer_results}
        if targets is None or masked is None:
            raise ValueError("MERT's loss needs target_list and mask=True. Pass features_only=True for features.")
        result = {"padding_mask": padded, "mask_indices": masked.mask, "masked_frames": masked.indices.numel()}
        result["features_pen"] = features_pen
        return result | self._predictions(wave, x, targets, masked, padding)

    def _layer_from_0(self, output_layer: int | None) -> int | None:
        layers = len(self.encoder.layers)
        if output_layer is None:
            return None
        if not 1 <= output_layer <= layers:
            raise ValueError(f"output_layer is {output_layer}, expected 1 to {layers}, or None for the last.")
        return output_layer - 1

    def _frame_padding(
        self, lengths: np.ndarray | None, samples: int, features: Tensor, exact: bool
    ) -> FramePadding | None:
        """Padding of ``features`` (B, F, D), from the clips' lengths and the ``samples`` of the padded batch."""
        if lengths is None:
            return None
        frames = features.size(1)
        counts = frame_counts(lengths, samples, frames, self.feature_extractor.layers, exact)
        return FramePadding.from_counts(counts, frames, features.device)

    def _features(
        self,
        wave: Tensor,
        target_list: Sequence[Tensor] | Tensor | None,
        padding_mask: Tensor | None,
        lengths: np.ndarray | None,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Projected conv features (B, F, D), their penalty, and the targets (Q, B, F) trimmed to them.

        With ``lengths`` (B,), the samples of each clip, no feature depends on the padding.
        """
        if lengths is None:
            padding_mask = None
        if padding_mask is not None:
            wave = wave.masked_fill(padding_mask, 0.0)
        if self.wav_normalize:
            wave = standardised(wave, padding_mask)
        features, targets = self._pair_with_targets(self._front_end_frames(wave, lengths), target_list)
        penalty = features.float().pow(2).mean() if self.learns_features else features.new_zeros(())
        features = features.transpose(1, 2)
        if self.feature_cqt is not None:
            cqt = self.feature_cqt(wave)[:, : features.size(1)].to(features.dtype)
            features = torch.cat([features, cqt], dim=-1)
        features = self.layer_norm(features)
        if self.post_extract_proj is not None:
            features = self.post_extract_proj(features)
        if self.post_extract_norm is not None:
            features = self.post_extract_norm(features)
        return self.dropout_input(features), penalty, targets

    def _front_end_frames(self, wave: Tensor, lengths: np.ndarray | None) -> Tensor:
        """Output of the front end for (B, T) float32, (B, C, F) in the precision of the parameters."""
        precision = self.mask_emb.dtype
        with torch.set_grad_enabled(self.feature_grad_mult > 0 and torch.is_grad_enabled()):
            wave = wave.to(precision) if self.learns_features else wave
            if lengths is None:
                features = self.feature_extractor(wave)
            else:
                features = self.feature_extractor.without_padding(wave, lengths)
        if self.learns_features and self.feature_grad_mult not in (0.0, 1.0):
            features = GradMultiply.apply(features, self.feature_grad_mult)
        return features.to(precision)

    def _pair_with_targets(
        self, features: Tensor, target_list: Sequence[Tensor] | Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Trim conv features (B, C, F) and targets (Q, B, F) to the frames that have both; targets may be None."""
        if target_list is None:
            return features, None
        if not isinstance(target_list, Tensor):
            labels = min(target.size(-1) for target in target_list)
            target_list = torch.stack([target[..., :labels] for target in target_list])
        index = frames.paired_targets(features.size(2), target_list.size(-1), self.targets_per_frame)
        if self.targets_per_frame == 1:
            targets = target_list[..., : len(index)]
        else:
            targets = target_list.index_select(-1, batch.to_device(index, features.device))
        return features[..., : len(index)], targets

    def _mask(
        self,
        features: Tensor,
        padding: FramePadding | None,
        given: tuple[Tensor | None, Tensor | None],
        clip_seeds: clip_rng.ClipSeeds | None,
    ) -> tuple[Tensor, masking.MaskedFrames]:
        """The encoder's input, (B, F, D), and the masked frames: ``given`` as mask and positions, or sampled."""
        seeds = clip_rng.clip_seeds_on_cpu(clip_seeds, features.size(0))
        mask, positions = given
        if mask is None:
            masked = masking.MaskedFrames.sample(features, padding, self.time_mask(self.num_updates), seeds)
        elif positions is None:
            masked = masking.MaskedFrames.from_mask(mask, padding)
        else:
            masked = masking.MaskedFrames(mask, positions)
        x = masking.replace_masked(features, masked.mask, self.mask_emb, self.mask_replacement, seeds)
        return masking.mask_channels(x, self.channel_mask, seeds), masked

    def extract_features(
        self,
        source: Tensor,
        padding_mask: Tensor | None = None,
        mask: bool = False,
        ret_conv: bool = False,
        output_layer: int | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Features of a layer, (B, F, D), and the frame padding, (B, F) bool or None; arguments as in ``forward``.

        A padded clip has the same frames and features as without padding. ``ret_conv`` returns the projected conv
        features instead of a layer's output.

        Raises:
            ValueError: if the layer does not exist, or a clip is shorter than one frame.
        """
        result = self.forward(
            source, padding_mask=padding_mask, mask=mask, features_only=True, output_layer=output_layer
        )
        return result["features" if ret_conv else "x"], result["padding_mask"]
