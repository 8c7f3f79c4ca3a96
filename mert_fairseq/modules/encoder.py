"""The Transformer encoder: positions, layers, and what each layer gave."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from fairseq.models.wav2vec.utils import pad_to_multiple
from fairseq.modules.transformer_sentence_encoder import init_bert_params
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mert_fairseq.modules.layers import LayerSpec, TransformerLayer, build_layer
from mert_fairseq.modules.positions import positional_conv, positions

# Shape letters: B batch, F frames, D model width, H heads.


class LayerResult(NamedTuple):
    """Output of one layer that ran, (B, F, D), and its attention weights on request, (B, H, F, F) float32."""

    output: Tensor
    attention: Tensor | None


class TransformerEncoderExtend(nn.Module):
    """Any number of layers, each specified alone; parameters named as in fairseq's wav2vec 2.0 encoder.

        encoder = TransformerEncoderExtend(layer_specs(LayerSpec(embed_dim=768, heads=12), layers=12))
        output, layer_results = encoder(x)

    Args:
        specs: one a layer, first to last; all of one width, and all pre-norm or all post-norm.
        conv_pos: frames that the positional convolution spans; 0 for none.
        conv_pos_groups: its channel groups.
        pos_conv_depth: its number of convolutions.
        conv_pos_batch_norm: batch norm in place of weight norm there.
        input_dropout: on the frames that enter the first layer; the first layer's dropout if None.
        layerdrop: probability that a layer is left out of a training step (arXiv:1909.11556).
        required_seq_len_multiple: padded batches are padded on to a multiple of it. Batches without padding are not:
            the mask that this takes would cost them the fastest attention kernels.
        checkpoint_activations: keep only layer inputs and compute the rest again in the backward pass.

    Raises:
        ValueError: if layers differ in width or in the side of their norms.
    """

    def __init__(
        self,
        specs: Sequence[LayerSpec],
        conv_pos: int = 128,
        conv_pos_groups: int = 16,
        pos_conv_depth: int = 1,
        conv_pos_batch_norm: bool = False,
        input_dropout: float | None = None,
        layerdrop: float = 0.0,
        required_seq_len_multiple: int = 2,
        checkpoint_activations: bool = False,
    ) -> None:
        super().__init__()
        self.embedding_dim, self.norm_first = _common(specs)
        self.dropout = specs[0].dropout if input_dropout is None else input_dropout
        self.layerdrop = layerdrop
        self.checkpoint_activations = checkpoint_activations
        self.required_seq_len_multiple = required_seq_len_multiple
        self.pos_conv = (
            positional_conv(self.embedding_dim, conv_pos, conv_pos_groups, pos_conv_depth, conv_pos_batch_norm)
            if conv_pos > 0
            else None
        )
        self.layers = nn.ModuleList(build_layer(spec, depth=len(specs)) for spec in specs)
        self.layer_norm = nn.LayerNorm(self.embedding_dim)
        self.apply(init_bert_params)
        for layer in self.layers:
            if isinstance(layer, TransformerLayer):
                layer.scale_init()

    def forward(
        self,
        x: Tensor,
        padding_mask: Tensor | None = None,
        layer: int | None = None,
        need_weights: bool = False,
        exact_padding: bool = False,
    ) -> tuple[Tensor, list[LayerResult]]:
        """Encode.

        Args:
            x: (B, F, D).
            padding_mask: (B, F) bool, True where a frame is padding.
            layer: stop after this layer, counted from 0, and return its output as it stands; None for all, with the
                last norm of pre-norm models.
            need_weights: keep each layer's attention weights; costs B x H x F x F floats a layer.
            exact_padding: real frames get what they would get without the padding, in every kind of layer. Without it
                a stack of positional convolutions and conformer layers let padded frames through, as fairseq's do.

        Returns:
            (B, F, D), and the results of the layers that ran.
        """
        frames = x.size(1)
        x, padding_mask = self._enter(x, padding_mask, exact_padding)
        results = []
        for index, module in enumerate(self.layers):
            if not self._dropped():
                x, weights = self._run(module, x, padding_mask, need_weights, exact_padding)
                if weights is not None:
                    weights = weights.transpose(0, 1)[:, :, :frames, :frames]
                results.append(LayerResult(x[:, :frames], weights))
            if index == layer:
                break
        x = x[:, :frames]
        if self.norm_first and layer is None:
            x = self.layer_norm(x)
        return x, results

    def _run(self, layer: nn.Module, x: Tensor, *options: Any) -> tuple[Tensor, Tensor | None]:
        if self.checkpoint_activations and torch.is_grad_enabled():
            # Not reentrant, unlike fairseq's: works with DDP's find_unused_parameters, which layer drop needs.
            return checkpoint(layer, x, *options, use_reentrant=False)
        return layer(x, *options)

    def _enter(self, x: Tensor, padding_mask: Tensor | None, exact: bool) -> tuple[Tensor, Tensor | None]:
        """Add positions, normalise, pad to the required multiple."""
        if padding_mask is not None:
            x = x.masked_fill(padding_mask.unsqueeze(-1), 0.0)
        if self.pos_conv is not None:
            x = x + positions(self.pos_conv, x.transpose(1, 2), padding_mask if exact else None).transpose(1, 2)
        if not self.norm_first:
            x = self.layer_norm(x)
        if padding_mask is not None:
            x, padded = pad_to_multiple(x, self.required_seq_len_multiple, dim=-2, value=0)
            padding_mask = F.pad(padding_mask, (0, padded), value=True)
        return F.dropout(x, self.dropout, self.training), padding_mask

    def _dropped(self) -> bool:
        # torch's generator, which fairseq seeds by the update number: a resumed run drops the same layers.
        return self.training and self.layerdrop > 0 and torch.rand(()).item() < self.layerdrop


def _common(specs: Sequence[LayerSpec]) -> tuple[int, bool]:
    if not specs:
        raise ValueError("the encoder has no layers: give at least one LayerSpec.")
    widths = {spec.embed_dim for spec in specs}
    sides = {spec.norm_first for spec in specs if spec.type == "transformer"}
    if len(widths) > 1 or len(sides) > 1:
        raise ValueError(
            f"encoder layers of widths {sorted(widths)} and norm_first {sorted(sides)}: all layers need one width, "
            f"and all Transformer layers their norms on one side."
        )
    return specs[0].embed_dim, specs[0].norm_first
