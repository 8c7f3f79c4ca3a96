"""The wave that every spectral teacher takes, checked and transformed a few clips at a time, in float32."""

from collections.abc import Callable

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


@torch.no_grad()
def in_clips(wave: Tensor, teacher: str, clips_at_once: int, transform: Callable[[Tensor], Tensor]) -> Tensor:
    """Transform a batch without gradients, in float32 under autocast too.

    Args:
        wave: (B, T) float32 or float64 in [-1, 1], mono.
        teacher: its name, for messages.
        clips_at_once: clips that fit a core's cache side by side.
        transform: (b, T) float32 to (b, F, D) float32.

    Returns:
        (B, F, D) float32.

    Raises:
        TypeError, ValueError: as checked_wave.
    """
    wave = checked_wave(wave, teacher)
    with torch.autocast(wave.device.type, enabled=False):
        return torch.cat([transform(clips) for clips in wave.split(clips_at_once)])
