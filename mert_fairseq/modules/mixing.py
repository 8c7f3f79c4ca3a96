"""In-batch mixture: pieces of other clips added to a clip, so that the model hears one music through another."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mert_fairseq.modules import clip_rng


@dataclass(frozen=True)
class Mixture:
    """The in-batch mixture augmentation of MERT (arXiv:2306.00107).

    Attributes:
        prob: probability that a clip is mixed; 0 or less for never.
        snippet_samples: shortest and longest snippet, in samples.
        snippets: fewest and most snippets that a clip gets.
        volume: factor on the snippets.
    """

    prob: float
    snippet_samples: tuple[int, int] = (8000, 24000)
    snippets: tuple[int, int] = (1, 3)
    volume: float = 1.0

    def __post_init__(self) -> None:
        for name, pair in (
            ("inbatch_noise_augment_len_range", self.snippet_samples),
            ("inbatch_noise_augment_number_range", self.snippets),
        ):
            if len(pair) != 2 or not 1 <= pair[0] <= pair[1]:
                raise ValueError(f"{name} is {list(pair)}, expected [least, most] with 1 <= least <= most.")
        if self.prob > 1:
            raise ValueError(f"mixture_prob is {self.prob}, expected a probability, or -1 for no mixture.")

    def __call__(self, wave: Tensor, clip_seeds: np.ndarray, lengths: np.ndarray | None = None) -> Tensor:
        """Mix the clips of a batch into each other.

        Args:
            wave: (B, T) float, not changed.
            clip_seeds: (B,); a clip's draws follow from its own seed.
            lengths: (B,) samples before each clip's padding, on the CPU; nothing is taken from padding or put there.

        Returns:
            (B, T); the wave itself where there is nobody to mix with.
        """
        clips, samples = wave.shape
        if self.prob <= 0 or clips < 2:
            return wave
        lengths = np.full(clips, samples) if lengths is None else lengths
        gate, count, which, length, source, place = self._draw(clip_seeds)
        donor = (np.arange(clips)[:, None] + 1 + np.floor(which * (clips - 1)).astype(int)) % clips
        least, most = self.snippet_samples
        length = np.floor(least + length * (most - least + 1)).astype(int)
        length = np.minimum(length, np.minimum(lengths[donor], lengths[:, None]))
        source = np.floor(source * (lengths[donor] - length + 1)).astype(int)
        place = np.floor(place * (lengths[:, None] - length + 1)).astype(int)
        length = np.where(gate & count, length, 0)
        return self._add(wave, *(clip_rng.to_device(a, wave.device) for a in (donor, length, source, place)))

    def _draw(self, clip_seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        """The clip's decision (B, 1) bool, which snippets count (B, S) bool, and four uniforms (B, S)."""
        least, most = self.snippets
        u = clip_rng.uniforms(clip_seeds, clip_rng.MIXTURE, 2 + 4 * most)
        number = least + np.floor(u[:, 1:2] * (most - least + 1))
        return u[:, :1] < self.prob, np.arange(most) < number, *np.split(u[:, 2:], 4, axis=1)

    def _add(self, wave: Tensor, donor: Tensor, length: Tensor, source: Tensor, place: Tensor) -> Tensor:
        time = torch.arange(wave.size(1), device=wave.device)
        mixed = wave.clone()
        for s in range(donor.size(1)):
            offset = time - place[:, s, None]
            inside = (offset >= 0) & (offset < length[:, s, None])
            taken = wave[donor[:, s]].gather(1, (offset + source[:, s, None]).clamp(0, wave.size(1) - 1))
            mixed += self.volume * taken * inside
        return mixed
