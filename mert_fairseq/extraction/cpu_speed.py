"""A frozen model made faster on a CPU: the same weights, and the same values up to rounding.

Two replacements. Matrix products run in oneDNN; ``torch.nn.Linear`` uses MKL, which takes 2.2 times as long on AMD. The
conv stack runs as matrix products too, over pieces of a second that stay in the cache, so the memory of its
activations does not grow with the clip.
"""

import platform
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Shape letters: B batch, T samples, C channels, F frames, k kernel.

PIECE_FRAMES = 75  # frames of a piece of the conv stack, 1 s: its activations fill the cache, its overlap costs 0.3 %
HAS_ONEDNN = (
    platform.machine() in ("x86_64", "AMD64")
    and torch.backends.mkldnn.is_available()
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)


def speed_up(model: nn.Module) -> None:
    """Replace the linear layers of a model on the CPU, and its conv stack if it has one; names of parameters stay.

    Args:
        model: ours, or transformers' HubertModel or Wav2Vec2Model. It must only be used in evaluation mode.
    """
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Linear:
                setattr(parent, name, OneDNNLinear(child))
    front_end: Any = model.feature_extractor
    if hasattr(front_end, "conv_layers"):
        model.feature_extractor = PiecewiseConvStack(front_end.conv_layers)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``torch.nn.functional.linear``, by oneDNN in float32, without gradients and outside compiled graphs."""
    if not HAS_ONEDNN or torch.compiler.is_compiling() or torch.is_grad_enabled():
        return F.linear(x, weight, bias)
    if x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return F.linear(x, weight, bias)
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class OneDNNLinear(nn.Module):
    """A linear layer with the parameters of another one."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        return linear(x, self.weight, self.bias)


class ConvStep(NamedTuple):
    """A convolution as a matrix product of its patches, then its norm and activation."""

    weight: Tensor  # (outputs, k x C)
    bias: Tensor | None
    kernel: int
    stride: int
    norm: Callable[[Tensor], Tensor] | None
    activation: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        """(T, C) to (T', outputs)."""
        patches = x.unfold(0, self.kernel, self.stride).transpose(1, 2).flatten(1)
        x = linear(patches, self.weight, self.bias)
        return self.activation(x if self.norm is None else self.norm(x))


class PiecewiseConvStack(nn.Module):
    """The conv stack of wav2vec 2.0 for clips without padding, computed in pieces.

    A group norm over time needs the mean and variance of the first convolution over the whole clip. Both follow from
    the mean and covariance of the clip's patches of k samples, so they are known before the first piece.

    Args:
        conv_layers: the blocks of our ``ConvStack``, or those of transformers' feature encoder.
    """

    def __init__(self, conv_layers: nn.ModuleList) -> None:
        super().__init__()
        self.conv_layers = conv_layers
        self.hop_samples, self.receptive_samples = 1, 1
        for block in conv_layers:
            conv = _parts(block)[0]
            self.receptive_samples += (conv.kernel_size[0] - 1) * self.hop_samples
            self.hop_samples *= conv.stride[0]

    def forward(self, waves: Tensor) -> Tensor:
        """Map samples (B, T) to frames (B, C, F)."""
        steps = [_step(block) for block in self.conv_layers]
        return torch.stack([self._clip(wave, steps) for wave in waves]).transpose(1, 2)

    def _clip(self, wave: Tensor, steps: Sequence[ConvStep]) -> Tensor:
        """(T,) to (F, C)."""
        first, *others = steps
        if isinstance(first.norm, nn.GroupNorm):
            first = _fold_group_norm(first, first.norm, wave)
        frames = (len(wave) - self.receptive_samples) // self.hop_samples + 1
        pieces = []
        for start in range(0, frames, PIECE_FRAMES):
            last = min(start + PIECE_FRAMES, frames) - 1
            x = wave[start * self.hop_samples : last * self.hop_samples + self.receptive_samples, None]
            for step in (first, *others):
                x = step(x)
            pieces.append(x)
        return torch.cat(pieces)


def _parts(block: Any) -> tuple[nn.Conv1d, nn.Module | None, Callable[[Tensor], Tensor]]:
    """Convolution, norm and activation of a block."""
    if not isinstance(block, nn.Sequential):  # of transformers
        return block.conv, getattr(block, "layer_norm", None), block.activation
    parts: list[Any] = list(block)
    conv, _, *norms, activation = parts
    norm = norms[0] if norms else None
    return conv, norm[1] if isinstance(norm, nn.Sequential) else norm, activation


def _step(block: nn.Module) -> ConvStep:
    conv, norm, activation = _parts(block)
    weight = conv.weight.transpose(1, 2).flatten(1)
    return ConvStep(weight, conv.bias, conv.kernel_size[0], conv.stride[0], norm, activation)


def _fold_group_norm(step: ConvStep, norm: nn.GroupNorm, wave: Tensor) -> ConvStep:
    """The first convolution with the norm of a clip (T,) in its weight and bias."""
    patches = wave.double().unfold(0, step.kernel, step.stride)  # (T', k)
    mean = patches.mean(0)
    covariance = patches.T @ patches / len(patches) - torch.outer(mean, mean)
    weight = step.weight.double()
    variance = ((weight @ covariance) * weight).sum(1)
    scale = norm.weight.double() / (variance + norm.eps).sqrt()
    bias = norm.bias.double() - (weight @ mean) * scale  # a bias of the convolution does not outlast the norm
    return step._replace(weight=(weight * scale[:, None]).float(), bias=bias.float(), norm=None)
