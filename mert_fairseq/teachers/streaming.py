"""EnCodec's causal encoder, chunk by chunk, with the same results as one pass over the whole track.

A causal convolution of kernel k and stride s needs the last k - s inputs of the previous chunk; the LSTM needs its two
states. At the start of a track the package reflects the first k - s inputs to the left. At its end each convolution
pads its last window by reflection to the right. Chunks of whole code frames keep all layers aligned in between.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv1d, elu, elu_, pad

State = Any  # a Tensor (B, ...), or None before the first chunk, or a tuple or list of these


class StreamingConv:
    """One of the package's SConv1d layers, its weight norm folded in."""

    def __init__(self, layer: Any):
        conv = layer.conv.conv
        if not layer.causal or conv.dilation[0] != 1 or layer.conv.norm_type not in ("weight_norm", "none"):
            raise ValueError(
                f"EnCodec: found {layer}, which cannot run in chunks, expected a causal, undilated convolution "
                f"without a norm over time. Use the 24 kHz model."
            )
        self.weight = conv.weight.detach()
        self.bias = conv.bias.detach()
        if layer.conv.norm_type == "weight_norm":
            self.weight = torch._weight_norm(conv.weight_v, conv.weight_g, 0).detach()
        self.stride = conv.stride[0]
        self.carried = conv.kernel_size[0] - self.stride

    def __call__(self, x: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
        """(B, C, T) to (B, C', T / stride), and the state for the next chunk."""
        if self.carried:
            x = pad(x, (self.carried, 0), mode="reflect") if state is None else torch.cat([state, x], 2)
        if last:
            extra = -(x.shape[2] - self.carried) % self.stride
            x = pad(x, (0, extra), mode="reflect") if extra else x
        carry = x[:, :, x.shape[2] - self.carried :].clone() if self.carried else None  # a view would keep all of x
        return conv1d(x, self.weight, self.bias, self.stride), carry


class StreamingBlock:
    """A residual block: ELU, convolution, ELU, convolution, plus a convolution as the shortcut."""

    def __init__(self, block: Any):
        _, first, _, second = block.block
        self.first, self.second = StreamingConv(first), StreamingConv(second)
        self.shortcut = StreamingConv(block.shortcut)

    def __call__(self, x: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
        """(B, C, T) to (B, C, T), and the states for the next chunk."""
        states = state or (None, None, None)
        shortcut, next_shortcut = self.shortcut(x, states[0], last)
        x, next_first = self.first(elu(x), states[1], last)
        x, next_second = self.second(elu_(x), states[2], last)
        return shortcut.add_(x), (next_shortcut, next_first, next_second)


class StreamingLSTM:
    """The LSTM with its skip connection."""

    def __init__(self, layer: Any):
        self.lstm = layer.lstm

    def __call__(self, x: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
        """(B, C, T) to (B, C, T), and the states for the next chunk, batch first."""
        x = x.permute(2, 0, 1)
        before = None if state is None else tuple(part.transpose(0, 1).contiguous() for part in state)
        y, after = self.lstm(x, before)
        return (y + x).permute(1, 2, 0), tuple(part.transpose(0, 1) for part in after)


class StreamingElu:
    """The ELU activation, in place."""

    def __call__(self, x: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
        """(B, C, T) to (B, C, T); has no state."""
        return elu_(x), None


LAYERS: dict[str, Any] = {
    "SConv1d": StreamingConv,
    "SEANetResnetBlock": StreamingBlock,
    "SLSTM": StreamingLSTM,
    "ELU": lambda layer: StreamingElu(),
}


class StreamingEncoder:
    """The package's SEANetEncoder, chunk by chunk.

    Raises:
        ValueError: if a layer cannot run in chunks (the 48 kHz model).
    """

    def __init__(self, encoder: Any):
        names = [type(layer).__name__ for layer in encoder.model]
        if unknown := set(names) - LAYERS.keys():
            raise ValueError(
                f"EnCodec: found the layers {', '.join(sorted(unknown))}, which cannot run in chunks, expected "
                f"{', '.join(LAYERS)}. Use the 24 kHz model."
            )
        self.layers = [LAYERS[name](layer) for name, layer in zip(names, encoder.model, strict=True)]

    def __call__(self, wave: Tensor, states: State, last: bool) -> tuple[Tensor, State]:
        """Encode the next chunk of a batch of tracks.

        Args:
            wave: (B, 1, T); T is at least 8 hops, and a multiple of the hop unless this is the last chunk.
            states: as returned for the previous chunk; None for the first.
            last: whether the tracks end here.

        Returns:
            (B, D, ceil(T / hop)) embeddings, and the states for the next chunk.
        """
        x, after = wave, []
        for layer, state in zip(self.layers, states or [None] * len(self.layers), strict=True):
            x, state = layer(x, state, last)
            after.append(state)
        return x, after


def select_rows(state: State, rows: list[int]) -> State:
    """Select the states of some tracks of a batch."""
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state[rows]
    return type(state)(select_rows(part, rows) for part in state)
