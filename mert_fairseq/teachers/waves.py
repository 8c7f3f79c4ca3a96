"""The wave that every teacher takes, checked in one place."""

import torch
from torch import Tensor


def checked_wave(wave: Tensor, teacher: str) -> Tensor:
    """Return ``wave`` as float32, or say what is wrong with it.

    Args:
        wave: (B, T) mono, float32 or float64 in [-1, 1].
        teacher: its name, for the message.

    Raises:
        ValueError: if the shape is not (B, T), or empty.
        TypeError: if it is half precision or integer. Small magnitudes lose their digits in half precision, and whether
            the clip was already rounded cannot be seen here, so the caller has to say so by converting it.
    """
    if wave.dim() != 2 or wave.numel() == 0:
        raise ValueError(
            f"{teacher}: the wave has shape {tuple(wave.shape)}, expected (clips, samples), neither of them 0. "
            f"Average the channels and add a batch axis: wave.mean(0, keepdim=True)."
        )
    if wave.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"{teacher}: the wave is {wave.dtype}, expected torch.float32 in [-1, 1]. Convert int16 samples with "
            f"wave.float() / 32768; hand over half-precision audio as wave.float(), better before it was halved."
        )
    return wave.float()
