"""A source of features that is cheap and knows what it hears: band energies of the wave, in three states."""

import torch
from torch import Tensor

from mert_fairseq.probing.features.source import Source


class BandSource(Source):
    """State 0 is noise, state 1 the band energies, state 2 half of them; 75 frames per second of 24 kHz."""

    name, digest = "bands", "bands-1"
    sample_rate, rate_hz, num_states, min_samples = 24_000, 75.0, 3, 400

    def __init__(self) -> None:
        self.clips = 0

    def frames(self, waves: Tensor) -> Tensor:
        self.clips += len(waves)
        framed = torch.nn.functional.pad(waves, (0, 2048)).unfold(1, 2048, 320)[:, : waves.shape[1] // 320]
        bands = torch.fft.rfft(framed * torch.hann_window(2048)).abs()[..., :128].view(*framed.shape[:2], 32, 4).mean(3)
        bands = (bands + 1e-3).log()
        noise = torch.rand(bands.shape, generator=torch.Generator().manual_seed(0))
        return torch.stack([noise, bands, bands / 2], 1)
