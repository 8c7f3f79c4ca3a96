"""Encoder layers: Transformer (post-norm, pre-norm, DeepNorm or Sub-LN) and Conformer."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch.nn.functional as F
from fairseq import utils
from fairseq.models.wav2vec.wav2vec2 import ConformerWav2Vec2EncoderLayer
from torch import Tensor, nn

from mert_fairseq.modules.attention import MultiheadAttentionExtend

# Shape letters: B batch, F frames, D model width.

LAYER_TYPES = ("transformer", "conformer")
NORMS = ("post", "pre", "deepnorm", "subln")


@dataclass(frozen=True)
class LayerSpec:
    """Specification of one encoder layer.

    Attributes:
        embed_dim: D, the model's width; the same in all layers.
        type: transformer, or conformer (arXiv:2005.08100). Conformers are always pre-norm with swish; ``norm`` (post or
            pre) and ``activation`` have no effect on them.
        ffn_dim: width of the feed-forward network.
        heads: attention heads; must divide D.
        dropout: on the two residual branches.
        attention_dropout: on the attention weights.
        activation_dropout: after the feed-forward activation.
        activation: a name from fairseq: gelu, relu, swish, ...
        norm: post; pre; deepnorm (post-norm with scaled residuals, arXiv:2203.00555); subln (pre-norm with a norm
            before each output projection, arXiv:2210.06423).
        attention_relax: scale of the relaxed softmax; 0 or less for none.
        conv_kernel: kernel size of a conformer's depthwise convolution in frames; odd.
        conformer_attention: for conformers: empty for our attention, espnet for ESPnet's.

    Raises:
        ValueError: if a value is unknown, or not supported by conformers.
    """

    embed_dim: int = 768
    type: str = "transformer"
    ffn_dim: int = 3072
    heads: int = 12
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.0
    activation: str = "gelu"
    norm: str = "post"
    attention_relax: float = -1.0
    conv_kernel: int = 31
    conformer_attention: str = ""

    def __post_init__(self) -> None:
        for name, allowed in (
            ("type", LAYER_TYPES),
            ("norm", NORMS),
            ("conformer_attention", ("", "espnet")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"encoder layer: {name} is {getattr(self, name)!r}, expected one of {allowed}.")
        if self.conformer_attention == "espnet" and self.attention_relax > 0:
            raise ValueError("attn_type espnet has no relaxed softmax: set attention_relax: -1 or attn_type: ''.")
        if self.type == "conformer":
            self._check_conformer()

    def _check_conformer(self) -> None:
        for option, found, allowed in (
            ("deepnorm or subln", self.norm, ("post", "pre")),
            ("activation_fn", self.activation, ("gelu", "swish")),  # the default counts as unset
            ("activation_dropout", self.activation_dropout, (0.0,)),
        ):
            if found not in allowed:
                raise ValueError(
                    f"{option} has no effect on conformer layers (found {found!r}): they are pre-norm, with swish and "
                    f"one dropout. Remove it, or set layer_type: transformer."
                )

    @property
    def norm_first(self) -> bool:
        """Whether the residual path is not normalised, so that the encoder needs a final norm."""
        return self.norm in ("pre", "subln")


def layer_specs(base: LayerSpec, layers: int, overrides: Mapping[str, Sequence[Any]] | None = None) -> list[LayerSpec]:
    """Specifications of all layers: copies of ``base`` with overrides per layer.

    Args:
        base: the common values.
        layers: number of layers.
        overrides: for a field of ``LayerSpec``, one value per layer; an empty list changes nothing.

    Raises:
        ValueError: if there is no layer, a field is unknown, or a list does not have ``layers`` values.
    """
    if layers < 1:
        raise ValueError(f"encoder_layers is {layers}, expected at least 1.")
    specs = [base] * layers
    known = {field.name for field in fields(LayerSpec)}
    for name, values in (overrides or {}).items():
        if name not in known:
            raise ValueError(f"encoder layers have no option {name!r}, expected one of {sorted(known)}.")
        if not values:
            continue
        if len(values) != layers:
            raise ValueError(
                f"{name} of the layers: {len(values)} values for {layers} layers. Set one value per layer, or none."
            )
        specs = [replace(spec, **{name: value}) for spec, value in zip(specs, values, strict=True)]
    return specs


def build_layer(spec: LayerSpec, depth: int) -> nn.Module:
    """Build one layer of an encoder with ``depth`` layers; its input is (B, F, D)."""
    return ConformerLayer(spec) if spec.type == "conformer" else TransformerLayer(spec, depth)


def activation_fn(name: str) -> Callable[[Tensor], Tensor]:
    """fairseq's activation of this name, except GELU: fairseq's saves a float32 copy for the backward pass."""
    return F.gelu if name == "gelu" else utils.get_activation_fn(name)


class TransformerLayer(nn.Module):
    """Attention and feed-forward network, each on a residual branch; parameters named as in fairseq's wav2vec 2.0."""

    def __init__(self, spec: LayerSpec, depth: int) -> None:
        super().__init__()
        width, subln = spec.embed_dim, spec.norm == "subln"
        self.norm_first = spec.norm_first
        self.dropout, self.activation_dropout = spec.dropout, spec.activation_dropout
        # DeepNorm, table 1 of arXiv:2203.00555, encoder only: alpha = (2 N)^(1/4), beta = (8 N)^(-1/4).
        self.residual_scale = (2 * depth) ** 0.25 if spec.norm == "deepnorm" else 1.0
        # Sub-LN, arXiv:2210.06423, encoder only: gain sqrt(ln(2 N)).
        self.init_gain = {"deepnorm": (8 * depth) ** -0.25, "subln": math.sqrt(math.log(2 * depth))}.get(spec.norm, 1.0)

        self.self_attn = MultiheadAttentionExtend(
            width,
            spec.heads,
            dropout=spec.attention_dropout,
            self_attention=True,
            attention_relax=spec.attention_relax,
            inner_norm=subln,
            batch_first=True,
        )
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.activation = activation_fn(spec.activation)
        self.fc1 = nn.Linear(width, spec.ffn_dim)
        self.inner_norm: nn.Module | None = nn.LayerNorm(spec.ffn_dim) if subln else None
        self.fc2 = nn.Linear(spec.ffn_dim, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def scale_init(self) -> None:
        """Scale the initial weights for DeepNorm and Sub-LN; call once, after initialisation."""
        if self.init_gain != 1.0:
            for projection in (self.self_attn.v_proj, self.self_attn.out_proj, self.fc1, self.fc2):
                projection.weight.data.mul_(self.init_gain)

    def forward(
        self, x: Tensor, padding_mask: Tensor | None = None, need_weights: bool = False, exact_padding: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Map (B, F, D) to (B, F, D) and, with ``need_weights``, the attention weights of each head, (H, B, F, F).

        Padding, (B, F) bool, never affects real frames here. ``exact_padding`` has no effect; it is part of the
        interface of encoder layers.
        """
        residual = x
        if self.norm_first:
            x = self.self_attn_layer_norm(x)
        x, weights = self.self_attn(x, key_padding_mask=padding_mask, need_head_weights=need_weights)
        x = self._add(residual, x)
        if not self.norm_first:
            x = self.self_attn_layer_norm(x)

        residual = x
        if self.norm_first:
            x = self.final_layer_norm(x)
        x = F.dropout(self.activation(self.fc1(x)), self.activation_dropout, self.training)
        if self.inner_norm is not None:
            x = self.inner_norm(x)
        x = self._add(residual, self.fc2(x))
        if not self.norm_first:
            x = self.final_layer_norm(x)
        return x, weights

    def _add(self, residual: Tensor, branch: Tensor) -> Tensor:
        if self.residual_scale != 1.0:
            residual = residual * self.residual_scale
        return residual + F.dropout(branch, self.dropout, self.training)


class ConformerLayer(ConformerWav2Vec2EncoderLayer):
    """fairseq's Conformer layer with our attention, and with a convolution that can exclude padding."""

    def __init__(self, spec: LayerSpec) -> None:
        super().__init__(
            embed_dim=spec.embed_dim,
            ffn_embed_dim=spec.ffn_dim,
            attention_heads=spec.heads,
            dropout=spec.dropout,
            use_fp16=False,
            depthwise_conv_kernel_size=spec.conv_kernel,
            activation_fn="swish",
            attn_type=spec.conformer_attention or None,
        )
        self.batch_first = not spec.conformer_attention
        if self.batch_first:
            self.self_attn = MultiheadAttentionExtend(
                spec.embed_dim,
                spec.heads,
                dropout=spec.attention_dropout,
                attention_relax=spec.attention_relax,
                batch_first=True,
            )

    def forward(
        self, x: Tensor, padding_mask: Tensor | None = None, need_weights: bool = False, exact_padding: bool = False
    ) -> tuple[Tensor, None]:
        """Map (B, F, D) to (B, F, D); attention weights are not returned (None).

        With ``exact_padding`` the input of the convolution is zero in the padding, (B, F) bool, as beyond the end of a
        single clip. Otherwise it contains the values of the padded frames, as in fairseq.
        """
        x = x + 0.5 * self.ffn1(x)
        x = x + self.self_attn_dropout(self._attend(self.self_attn_layer_norm(x), padding_mask))
        x = x + self._convolve(x, padding_mask if exact_padding else None)
        x = x + 0.5 * self.ffn2(x)
        return self.final_layer_norm(x), None

    def _attend(self, x: Tensor, padding_mask: Tensor | None) -> Tensor:
        if not self.batch_first:
            x = x.transpose(0, 1)
        attended, _ = self.self_attn(x, x, x, key_padding_mask=padding_mask, need_weights=False)
        return attended if self.batch_first else attended.transpose(0, 1)

    def _convolve(self, x: Tensor, padding_mask: Tensor | None) -> Tensor:
        conv = self.conv_module
        x = conv.glu(conv.pointwise_conv1(conv.layer_norm(x).transpose(1, 2)))
        if padding_mask is not None:
            x = x.masked_fill(padding_mask.unsqueeze(1), 0.0)
        x = conv.activation(conv.batch_norm(conv.depthwise_conv(x)))
        return conv.dropout(conv.pointwise_conv2(x)).transpose(1, 2)
