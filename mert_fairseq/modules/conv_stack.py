"""The convolutional front end of wav2vec 2.0 (arXiv:2006.11477): samples to frames; parameters named as in fairseq."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from fairseq.modules import TransposeLast
from torch import Tensor, nn

from mert_fairseq.frames import ConvLayer, num_conv_frames, receptive_field

# Shape letters: B batch, T samples, C channels, F frames.

MODES = ("default", "layer_norm")


class ConvStack(nn.Module):
    """Convolutions without padding, each followed by GELU.

    Norms and activations run in the precision of the parameters. PyTorch's kernels accumulate in float32, so half
    precision needs no float32 copy of these activations, the largest of the model.

    Args:
        layers: the convolutions, first to last.
        mode: default (group norm over the time of each channel, after the first convolution) or layer_norm (layer norm
            over the channels of each frame, after every convolution).
        bias: whether convolutions have a bias.

    Raises:
        ValueError: if the mode is unknown.
    """

    def __init__(self, layers: Sequence[ConvLayer], mode: str = "default", bias: bool = False) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"extractor_mode is {mode!r}, expected one of {MODES}.")
        self.layers = list(layers)
        self.channels = layers[-1].channels
        self.receptive_samples = receptive_field(self.layers)
        self.norm_over_time = mode == "default"
        inputs = [1, *(layer.channels for layer in layers[:-1])]
        self.conv_layers = nn.ModuleList(
            _block(channels, layer, _norm(mode, first=place == 0, channels=layer.channels), bias)
            for place, (channels, layer) in enumerate(zip(inputs, layers, strict=True))
        )

    def forward(self, wave: Tensor) -> Tensor:
        """Map samples (B, T), in the precision of the parameters, to frames (B, C, F).

        Raises:
            ValueError: if there are fewer samples than one frame needs.
        """
        check_length(wave.size(1), self.receptive_samples)
        x = wave.unsqueeze(1)
        for block in self.conv_layers:
            x = block(x)
        return x

    def without_padding(self, wave: Tensor, lengths: np.ndarray) -> Tensor:
        """Map padded clips to the frames that each clip has without padding.

        Args:
            wave: (B, T).
            lengths: (B,) samples before each clip's padding, on the CPU.

        Returns:
            (B, C, F); frames that depend on padding are meaningless.

        Raises:
            ValueError: if a clip has fewer samples than one frame needs.
        """
        check_length(int(lengths.min()), self.receptive_samples)
        if not self.norm_over_time:
            return self(wave)
        counts = [num_conv_frames(int(samples), self.layers[:1]) for samples in lengths]
        conv, _, norm, activation = self.conv_layers[0].children()
        x = activation(_norm_without_padding(norm, conv(wave.unsqueeze(1)), counts))
        for block in self.conv_layers[1:]:
            x = block(x)
        return x


def check_length(shortest: int, receptive_samples: int) -> None:
    """Refuse a batch whose shortest clip has no frame.

    Raises:
        ValueError: if there are fewer samples than one frame needs.
    """
    if shortest < receptive_samples:
        raise ValueError(
            f"audio too short: found a clip of {shortest} samples, expected at least {receptive_samples}, the "
            f"receptive field of one frame. Pad the audio with silence, or remove it."
        )


def _block(inputs: int, layer: ConvLayer, norm: nn.Module | None, bias: bool) -> nn.Sequential:
    conv = nn.Conv1d(inputs, layer.channels, layer.kernel, layer.stride, bias=bias)
    nn.init.kaiming_normal_(conv.weight)
    # The Identity replaces fairseq's dropout, so that the norm keeps its name in checkpoints.
    return nn.Sequential(conv, nn.Identity(), *([] if norm is None else [norm]), nn.GELU())


def _norm(mode: str, first: bool, channels: int) -> nn.Module | None:
    if mode == "layer_norm":
        return nn.Sequential(TransposeLast(), nn.LayerNorm(channels), TransposeLast())
    return nn.GroupNorm(channels, channels) if first else None


def _norm_without_padding(norm: nn.Module, x: Tensor, counts: Sequence[int]) -> Tensor:
    """Group norm of each clip of x (B, C, T) over its first ``counts[b]`` positions only; the rest is set to zero."""
    clips = [F.pad(norm(x[b : b + 1, :, :count]), (0, x.size(2) - count)) for b, count in enumerate(counts)]
    return torch.cat(clips)
