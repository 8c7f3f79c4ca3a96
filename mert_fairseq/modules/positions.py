"""Positional convolution of wav2vec 2.0: where a frame stands, from its neighbours."""

from fairseq.models.wav2vec.wav2vec2 import make_conv_pos
from fairseq.modules import SamePad, TransposeLast
from torch import nn


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
