"""Positional convolution of wav2vec 2.0: where a frame stands, from its neighbours."""

from fairseq.models.wav2vec.wav2vec2 import make_conv_pos
from fairseq.modules import SamePad, TransposeLast
from torch import Tensor, nn


def positional_conv(width: int, kernel: int, groups: int, depth: int = 1, batch_norm: bool = False) -> nn.Module:
    """A module (B, D, F) -> (B, D, F) whose output is added to the frames.

    Args:
        width: D.
        kernel: frames that it spans in all.
        groups: of channels.
        depth: 1 for one weight-normalised convolution (wav2vec 2.0), more for a stack of small ones (data2vec).
        batch_norm: normalise the input over the batch instead of the weight; depth 1 only.
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


def positions(conv: nn.Module, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
    """Apply a ``positional_conv`` to frames (B, D, F), which hold zeros in the padding.

    Args:
        conv: the module.
        x: (B, D, F).
        padding_mask: (B, F) bool. Given, every convolution sees zeros there, as behind the end of a clip alone; batch
            norms and convolutions before the last one would fill them.
    """
    if padding_mask is None:
        return conv(x)
    for part in conv.children():
        if isinstance(part, nn.Conv1d | nn.Sequential):
            x = x.masked_fill(padding_mask.unsqueeze(1), 0.0)
        x = part(x)
    return x
