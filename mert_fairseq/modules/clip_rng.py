"""Random numbers per clip: they depend on the clip's seed only, not on its batch, worker or process."""

from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

# Each purpose has its own stream, so that the mask of a clip is independent of its mixture.
MASK, CHANNEL_MASK, MASK_REPLACEMENT, MIXTURE = range(4)

ClipSeeds: TypeAlias = np.ndarray | Tensor  # (B,) int64


def clip_seeds_on_cpu(clip_seeds: ClipSeeds | None, clips: int) -> np.ndarray:
    """Seeds of a batch's clips, (B,) uint64; sampled from torch's generator if None."""
    if clip_seeds is None:
        clip_seeds = torch.randint(0, 2**62, (clips,))
    if isinstance(clip_seeds, Tensor):
        clip_seeds = clip_seeds.cpu().numpy()
    return clip_seeds.astype(np.uint64)


def clip_generator(clip_seed: np.uint64, purpose: int) -> np.random.Generator:
    """The generator of one clip for one purpose."""
    return np.random.default_rng([int(clip_seed), purpose])


def uniforms(clip_seeds: np.ndarray, purpose: int, count: int) -> np.ndarray:
    """Uniform numbers in [0, 1), (B, count) float64; each row depends only on the seed of its clip.

    SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) as a counter-based generator: all clips at once, without a loop.
    """
    golden, mix_1, mix_2 = (np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
    with np.errstate(over="ignore"):
        counter = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(purpose << 32)
        bits = (clip_seeds.astype(np.uint64) * mix_1)[:, None] + counter * golden
        bits = (bits ^ (bits >> np.uint64(30))) * mix_1
        bits = (bits ^ (bits >> np.uint64(27))) * mix_2
        bits ^= bits >> np.uint64(31)
    return (bits >> np.uint64(11)) * 2.0**-53
