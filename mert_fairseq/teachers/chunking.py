"""Process audio in pieces of bounded size: a batch a few clips at a time, a long track in overlapping windows."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


def checked_wave(wave: Tensor, teacher: str) -> Tensor:
    """Return ``wave`` as float32, after checking its shape and type.

    Args:
        wave: (B, T) mono, float32 or float64 in [-1, 1].
        teacher: its name, for the message.

    Raises:
        ValueError: if the shape is not (B, T), or empty.
        TypeError: if it is half precision or integer. Half precision loses the digits of small magnitudes, and this
            function cannot see whether the clip was rounded before; so the caller must convert it explicitly.
    """
    if wave.dim() != 2 or wave.numel() == 0:
        raise ValueError(
            f"{teacher}: the wave has shape {tuple(wave.shape)}, expected (clips, samples), neither of them 0. "
            f"Average the channels and add a batch axis: wave.mean(0, keepdim=True)."
        )
    if wave.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"{teacher}: the wave is {wave.dtype}, expected torch.float32 in [-1, 1]. Convert int16 samples with "
            f"wave.float() / 32768, and half-precision audio with wave.float(), better before it is halved."
        )
    return wave.float()


@torch.no_grad()
def in_clips(wave: Tensor, teacher: str, clips_at_once: int, transform: Callable[[Tensor], Tensor]) -> Tensor:
    """Transform a batch a few clips at a time, without gradients, in float32 even under autocast.

    Args:
        wave: (B, T) float32 or float64 in [-1, 1], mono.
        teacher: its name, for messages.
        clips_at_once: number of clips that fit into the cache of a core together.
        transform: (b, T) float32 to (b, F, D) float32.

    Returns:
        (B, F, D) float32.

    Raises:
        TypeError, ValueError: as ``checked_wave``.
    """
    wave = checked_wave(wave, teacher)
    with torch.autocast(wave.device.type, enabled=False):
        return torch.cat([transform(clips) for clips in wave.split(clips_at_once)])


class Window(NamedTuple):
    """A core of new samples, with the context before and after it that its frames depend on."""

    wave: np.ndarray  # (lead + core + up to follow,) float32
    lead_samples: int  # context: these belong to the cores before
    core_samples: int


def windows(
    blocks: Iterable[np.ndarray], core_samples: int, lead_samples: int, follow_samples: int
) -> Iterator[Window]:
    """Cut a track into overlapping windows whose cores follow one another, for any block sizes.

    Args:
        blocks: (n,) float32 each, end to end.
        core_samples: of each window; the last core may be shorter.
        lead_samples: context before the core, shorter at the start of the track.
        follow_samples: context after the core, shorter at its end.
    """
    buffer = np.empty(0, dtype=np.float32)
    lead = 0
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while len(buffer) >= lead + core_samples + follow_samples:
            yield Window(buffer[: lead + core_samples + follow_samples], lead, core_samples)
            drop = max(0, lead + core_samples - lead_samples)
            buffer, lead = buffer[drop:], lead + core_samples - drop
    while len(buffer) > lead:
        core = min(core_samples, len(buffer) - lead)
        yield Window(buffer[: lead + core + follow_samples], lead, core)
        drop = max(0, lead + core - lead_samples)
        buffer, lead = buffer[drop:], lead + core - drop
