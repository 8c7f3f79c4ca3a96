"""The Transformer encoder: positional convolution, layers, and the output of each layer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from fairseq.models.wav2vec.utils import pad_to_multiple
from fairseq.models.wav2vec.wav2vec2 import make_conv_pos
from fairseq.modules import SamePad, TransposeLast
from fairseq.modules.transformer_sentence_encoder import init_bert_params
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mert_fairseq.modules.layers import LayerSpec, TransformerLayer, build_layer

# Shape letters: B batch, F frames, D model width, H heads.


class LayerResult(NamedTuple):
    """Output of one layer that ran, (B, F, D), and its attention weights on request, (B, H, F, F) float32."""

    output: Tensor
    attention: Tensor | None


class TransformerEncoderExtend(nn.Module):
    """A stack of layers, each with its own specification; parameters named as in fairseq's wav2vec 2.0 encoder.

        encoder = TransformerEncoderExtend(layer_specs(LayerSpec(embed_dim=768, heads=12), layers=12))
        output, layer_results = encoder(x)

    Args:
        specs: one per layer, first to last; all of the same width, and all pre-norm or all post-norm.
        conv_pos: kernel size of the positional convolution in frames; 0 for none.
        conv_pos_groups: its channel groups.
        pos_conv_depth: its number of convolutions.
        conv_pos_batch_norm: use batch norm instead of weight norm there.
        input_dropout: dropout before the first layer; the first layer's dropout if None.
        layerdrop: probability that a training step skips a layer (arXiv:1909.11556).
        required_seq_len_multiple: pad batches that have padding to a multiple of this length. Batches without padding
            stay as they are: an attention mask would exclude the fastest attention kernels.
        checkpoint_activations: save only the input of each layer and recompute the rest in the backward pass.

    Raises:
        ValueError: if layers differ in width or in the position of their norms.
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
        self.embedding_dim, self.norm_first = _common_properties(specs)
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
        """Run the encoder.

        Args:
            x: (B, F, D).
            padding_mask: (B, F) bool, True for padding.
            layer: stop after this layer, counted from 0, and return its output; None runs all layers and, in pre-norm
                models, the final norm.
            need_weights: return the attention weights of each layer; takes B x H x F x F floats per layer.
            exact_padding: real frames get the same values as without padding, for every type of layer. Otherwise
                stacked positional convolutions and conformer layers mix in values of padded frames, as in fairseq.

        Returns:
            (B, F, D), and the results of the layers that ran.
        """
        frames = x.size(1)
        x, padding_mask = self._prepare_input(x, padding_mask, exact_padding)
        results = []
        for index, module in enumerate(self.layers):
            if not self._drops_layer():
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
            # Not reentrant, unlike fairseq's: layer drop needs DDP's find_unused_parameters.
            return checkpoint(layer, x, *options, use_reentrant=False)
        return layer(x, *options)

    def _prepare_input(self, x: Tensor, padding_mask: Tensor | None, exact: bool) -> tuple[Tensor, Tensor | None]:
        """Add positions, normalise, and pad to the required multiple; returns frames and padding mask."""
        if padding_mask is not None:
            x = x.masked_fill(padding_mask.unsqueeze(-1), 0.0)
        if self.pos_conv is not None:
            positions = apply_positional_conv(self.pos_conv, x.transpose(1, 2), padding_mask if exact else None)
            x = x + positions.transpose(1, 2)
        if not self.norm_first:
            x = self.layer_norm(x)
        if padding_mask is not None:
            x, padded = pad_to_multiple(x, self.required_seq_len_multiple, dim=-2, value=0)
            padding_mask = F.pad(padding_mask, (0, padded), value=True)
        return F.dropout(x, self.dropout, self.training), padding_mask

    def _drops_layer(self) -> bool:
        # fairseq seeds torch's generator with the update number, so a resumed run drops the same layers.
        return self.training and self.layerdrop > 0 and torch.rand(()).item() < self.layerdrop


def _common_properties(specs: Sequence[LayerSpec]) -> tuple[int, bool]:
    """The width, and whether layers are pre-norm."""
    if not specs:
        raise ValueError("the encoder has no layers: pass at least one LayerSpec.")
    widths = {spec.embed_dim for spec in specs}
    sides = {spec.norm_first for spec in specs if spec.type == "transformer"}
    if len(widths) > 1 or len(sides) > 1:
        raise ValueError(
            f"encoder layers have widths {sorted(widths)} and norm_first {sorted(sides)}: all layers must have the "
            f"same width, and all Transformer layers the same position of their norms."
        )
    return specs[0].embed_dim, specs[0].norm_first


def positional_conv(width: int, kernel: int, groups: int, depth: int = 1, batch_norm: bool = False) -> nn.Module:
    """A module (B, D, F) -> (B, D, F) whose output is added to the frames.

    Args:
        width: D.
        kernel: kernel size in frames, in total.
        groups: channel groups.
        depth: 1 for one weight-normalised convolution (wav2vec 2.0), more for a stack of small ones (data2vec).
        batch_norm: normalise the input over the batch instead of the weight; for depth 1 only.
    """
    if depth == 1:
        return make_conv_pos(width, kernel, groups, is_batch_norm=batch_norm)
    small_kernel = max(3, kernel // depth)

    def block() -> nn.Sequential:
        return nn.Sequential(
            nn.Conv1d(width, width, small_kernel, padding=small_kernel // 2, groups=groups),
            SamePad(small_kernel),
            TransposeLast(),
            nn.LayerNorm(width, elementwise_affine=False),
            TransposeLast(),
            nn.GELU(),
        )

    return nn.Sequential(*(block() for _ in range(depth)))


def apply_positional_conv(conv: nn.Module, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
    """Apply a ``positional_conv`` to frames.

    Args:
        conv: the module.
        x: (B, D, F), zero in the padding.
        padding_mask: (B, F) bool, or None. With a mask the input of every convolution is zero in the padding, as beyond
            the end of a single clip. Batch norms and earlier convolutions would otherwise write values there.
    """
    if padding_mask is None:
        return conv(x)
    for part in conv.children():
        if isinstance(part, nn.Conv1d | nn.Sequential):
            x = x.masked_fill(padding_mask.unsqueeze(1), 0.0)
        x = part(x)
    return x
