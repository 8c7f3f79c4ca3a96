"""A MERT encoder (arXiv:2306.00107) for inference and fine-tuning with transformers 4.38 to 5; needs torch only.

It holds what HubertModel cannot: DeepNorm, Sub-LN, a norm after the feature projection, spectra as inputs, feed-forward
widths and heads that change per layer.

Shape letters: B batch, T samples, F frames, C channels, D width, H heads.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutput

from .configuration_mert import MERTEncoderConfig
from .spectra_mert import ConstantQ, SpectralFrames


class ConvLayer(nn.Module):
    """One convolution over the wave, its norm if it has one, GELU."""

    def __init__(self, config: MERTEncoderConfig, index: int) -> None:
        super().__init__()
        channels = config.conv_dim[index]
        self.conv = nn.Conv1d(
            config.conv_dim[index - 1] if index else 1,
            channels,
            config.conv_kernel[index],
            stride=config.conv_stride[index],
            bias=config.conv_bias,
        )
        self.per_frame = config.feat_extract_norm == "layer"
        self.layer_norm: Any = None
        if self.per_frame:
            self.layer_norm = nn.LayerNorm(channels)
        elif index == 0:
            self.layer_norm = nn.GroupNorm(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, F) -> (B, C', F')."""
        x = self.conv(x)
        if self.per_frame:
            x = self.layer_norm(x.transpose(1, 2)).transpose(1, 2)
        elif self.layer_norm is not None:
            x = self.layer_norm(x)
        return F.gelu(x)


class ConvStack(nn.Module):
    """Wave to features."""

    def __init__(self, config: MERTEncoderConfig) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(ConvLayer(config, index) for index in range(len(config.conv_dim)))

    def forward(self, wave: Tensor) -> Tensor:
        """(B, T) -> (B, C, F)."""
        x = wave.unsqueeze(1)
        for layer in self.conv_layers:
            x = layer(x)
        return x


class FeatureProjection(nn.Module):
    """Norm, map to the encoder's width, and with stable norms another norm."""

    def __init__(self, config: MERTEncoderConfig) -> None:
        super().__init__()
        channels, stable = config.cqt_bins + config.mel_bins, config.feat_proj_stable_norm
        if config.front_end != "spectral":
            channels += config.conv_dim[-1]
        self.layer_norm = nn.LayerNorm(channels, eps=config.layer_norm_eps, elementwise_affine=not stable)
        self.projection = nn.Linear(channels, config.hidden_size) if config.feat_proj else None
        self.output_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps) if stable else None
        self.dropout = nn.Dropout(config.feat_proj_dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, C) -> (B, F, D)."""
        x = self.layer_norm(x)
        if self.projection is not None:
            x = self.projection(x)
        if self.output_norm is not None:
            x = self.output_norm(x)
        return self.dropout(x)


class PositionalConv(nn.Module):
    """One weight-normalised convolution (wav2vec 2.0), or a stack of small ones (data2vec)."""

    def __init__(self, config: MERTEncoderConfig) -> None:
        super().__init__()
        kernel, depth = config.num_conv_pos_embeddings, config.conv_pos_depth
        if depth > 1:
            kernel = max(3, kernel // depth)
        self.surplus = 1 - kernel % 2  # an even kernel makes one frame too many

        def conv() -> nn.Conv1d:
            return nn.Conv1d(
                config.hidden_size,
                config.hidden_size,
                kernel,
                padding=kernel // 2,
                groups=config.num_conv_pos_embedding_groups,
            )

        self.conv = nn.utils.parametrizations.weight_norm(conv(), dim=2) if depth == 1 else None
        self.convs: Any = nn.ModuleList(conv() for _ in range(depth)) if depth > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, D) -> (B, F, D), to be added to the frames."""
        frames = x.shape[1]
        x = x.transpose(1, 2)
        if self.conv is not None:
            return F.gelu(self.conv(x)[..., : frames if self.surplus else None]).transpose(1, 2)
        for conv in self.convs:
            x = conv(x)[..., : frames if self.surplus else None].transpose(1, 2)
            x = F.gelu(F.layer_norm(x, x.shape[-1:])).transpose(1, 2)
        return x.transpose(1, 2)


class Attention(nn.Module):
    """Self-attention; Sub-LN has a norm before the output projection."""

    def __init__(self, config: MERTEncoderConfig, index: int) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.attention_heads[index]
        self.dropout = config.attention_dropout
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.inner_norm = nn.LayerNorm(width, eps=config.layer_norm_eps) if config.norm == "subln" else None

    def forward(self, x: Tensor, visible: Tensor | None) -> Tensor:
        """(B, F, D) -> (B, F, D); ``visible``: (B, 1, 1, F) bool, False for padding, or None."""
        q, k, v = (
            projection(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        dropout = self.dropout if self.training else 0.0
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=visible, dropout_p=dropout)
        x = x.transpose(1, 2).flatten(2)
        if self.inner_norm is not None:
            x = self.inner_norm(x)
        return self.out_proj(x)


class FeedForward(nn.Module):
    """Two linear layers; Sub-LN has a norm between them."""

    def __init__(self, config: MERTEncoderConfig, index: int) -> None:
        super().__init__()
        inner = config.intermediate_sizes[index]
        self.intermediate_dense = nn.Linear(config.hidden_size, inner)
        self.activation = ACT2FN[config.hidden_act]
        self.dropout = nn.Dropout(config.activation_dropout)
        self.inner_norm = nn.LayerNorm(inner, eps=config.layer_norm_eps) if config.norm == "subln" else None
        self.output_dense = nn.Linear(inner, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, D) -> (B, F, D)."""
        x = self.dropout(self.activation(self.intermediate_dense(x)))
        if self.inner_norm is not None:
            x = self.inner_norm(x)
        return self.output_dense(x)


class EncoderLayer(nn.Module):
    """Attention and feed-forward network, each on a residual branch."""

    def __init__(self, config: MERTEncoderConfig, index: int) -> None:
        super().__init__()
        self.norm_first = config.norm in ("pre", "subln")
        self.residual_scale = (2 * config.num_hidden_layers) ** 0.25 if config.norm == "deepnorm" else 1.0
        self.attention = Attention(config, index)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config, index)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, x: Tensor, visible: Tensor | None) -> Tensor:
        """(B, F, D) -> (B, F, D); ``visible`` as in Attention."""
        if self.norm_first:
            x = x + self.dropout(self.attention(self.layer_norm(x), visible))
            return x + self.dropout(self.feed_forward(self.final_layer_norm(x)))
        x = self.layer_norm(x * self.residual_scale + self.dropout(self.attention(x, visible)))
        return self.final_layer_norm(x * self.residual_scale + self.dropout(self.feed_forward(x)))


class Encoder(nn.Module):
    """Positions, layers, one more norm: before the layers (post-norm) or after them (pre-norm)."""

    def __init__(self, config: MERTEncoderConfig) -> None:
        super().__init__()
        self.norm_first = config.norm in ("pre", "subln")
        self.pos_conv_embed = PositionalConv(config) if config.num_conv_pos_embeddings else None
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.layers = nn.ModuleList(EncoderLayer(config, index) for index in range(config.num_hidden_layers))

    def forward(self, x: Tensor, visible: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """(B, F, D) -> the output (B, F, D), normed, and the L + 1 states, the last not normed if pre-norm."""
        if visible is not None:
            x = x * visible[:, 0, 0, :, None].to(x.dtype)
        if self.pos_conv_embed is not None:
            x = x + self.pos_conv_embed(x)
        if not self.norm_first:
            x = self.layer_norm(x)
        x = self.dropout(x)
        states = [x]
        for layer in self.layers:
            x = layer(x, visible)
            states.append(x)
        return self.layer_norm(x) if self.norm_first else x, tuple(states)


class MERTEncoderModel(PreTrainedModel):
    """MERT without the heads of its pretraining.

    ``hidden_states`` holds L + 1 tensors (B, F, D): what enters the first layer, then the output of each layer. In
    pre-norm models the last of them is before the final norm, and ``last_hidden_state`` after it.
    """

    config_class = MERTEncoderConfig
    base_model_prefix = "mert"
    main_input_name = "input_values"

    def __init__(self, config: MERTEncoderConfig) -> None:
        super().__init__(config)
        self.feature_extractor = SpectralFrames(config) if config.front_end == "spectral" else ConvStack(config)
        self.feature_projection = FeatureProjection(config)
        self.masked_spec_embed = nn.Parameter(torch.zeros(config.hidden_size))
        self.encoder = Encoder(config)
        self.constant_q = ConstantQ(config) if config.front_end == "both" else None
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> tuple | BaseModelOutput:
        """Encode waves.

        Args:
            input_values: (B, T) float in [-1, 1], mono, at ``config.sample_rate``.
            attention_mask: (B, T), 0 for padding; not for models with group norm, which see the padding all the same.
            output_hidden_states: return all L + 1 states.
            return_dict: False for a tuple.
        """
        wave = input_values
        if self.config.wave_norm:
            wave = F.layer_norm(wave, wave.shape[1:])
        features = self.front_end_frames(wave)
        visible = None if attention_mask is None else self._visible(attention_mask, features.shape[1])
        output, states = self.encoder(self.feature_projection(features), visible)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        hidden_states = states if wanted else None
        if return_dict is False:
            return (output,) if hidden_states is None else (output, hidden_states)
        return BaseModelOutput(last_hidden_state=output, hidden_states=hidden_states)

    def front_end_frames(self, wave: Tensor) -> Tensor:
        """(B, T) -> (B, F, C): the features that are projected to the encoder's width."""
        features = self.feature_extractor(wave).transpose(1, 2)
        if self.constant_q is not None:
            features = torch.cat([features, self.constant_q(wave)[:, : features.shape[1]]], -1)
        return features.to(self.masked_spec_embed.dtype)

    def _visible(self, attention_mask: Tensor, frames: int) -> Tensor:
        """(B, T) -> (B, 1, 1, F) bool: the frames that the convolutions make of the samples that are no padding."""
        lengths = attention_mask.sum(-1)
        for kernel, stride in zip(self.config.conv_kernel, self.config.conv_stride):  # noqa: B905
            lengths = (lengths - kernel) // stride + 1
        return (torch.arange(frames, device=lengths.device) < lengths[:, None])[:, None, None]
