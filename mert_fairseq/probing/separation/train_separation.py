"""Trains and tests the separation network of one source; SDR as in the Music Demixing Challenge 2021."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mert_fairseq.probing.features.source import Source
from mert_fairseq.probing.features.waves import NORM_EPSILON
from mert_fairseq.probing.probe_data import ProbeData
from mert_fairseq.probing.search.protocol import ALL_LAYERS, Protocol
from mert_fairseq.probing.separation.songs import random_mixtures, whole_song
from mert_fairseq.probing.separation.spectra import HOP_SAMPLES, istft, stft, wiener
from mert_fairseq.probing.separation.unmix_network import HIDDEN, FeatureUnmix

PIECE_SECONDS = 90.0  # of a song, fed to the model at once
EPSILON = 1e-7
BATCH, SAMPLES_PER_SONG = 32, 64


class Settings(NamedTuple):
    """One network: which source, layer, learning rate and seed; its size, and how much training per epoch."""

    target: str
    layer: int
    learning_rate: float
    seed: int
    samples_per_song: int = SAMPLES_PER_SONG
    hidden: int = HIDDEN


class SeparationProbe:
    """The frozen model and a separation network on top."""

    def __init__(self, source: Source, settings: Settings, normalize: bool, device: str) -> None:
        self.source, self.settings, self.normalize, self.device = source, settings, normalize, device
        torch.manual_seed(settings.seed)
        states = self.features(torch.zeros(1, 2 * source.min_samples + HOP_SAMPLES))
        self.network = FeatureUnmix(states.shape[1], states.shape[3], settings.hidden).to(device)

    def features(self, waves: Tensor) -> Tensor:
        """(B, T) to (B, S, F, D): the single layer, or layers 1 to L for the weighted sum."""
        if self.normalize:
            variance, mean = torch.var_mean(waves, dim=1, keepdim=True, correction=0)
            waves = (waves - mean) / (variance + NORM_EPSILON).sqrt()
        states = self.source.frames(torch.nn.functional.pad(waves, (0, HOP_SAMPLES))).to(self.device)
        layer = self.settings.layer
        return states[:, 1:] if layer == ALL_LAYERS else states[:, layer : layer + 1]

    def magnitudes(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        """(B, F, bins) magnitudes of the source, and complex spectra of the mixture."""
        spectra = stft(waves.to(self.device))
        features = self.features(waves).clone()  # the model ran without gradients
        frames = min(features.shape[2], spectra.shape[1])
        estimate = self.network(features[:, :, :frames], spectra[:, :frames].abs())
        return torch.nn.functional.pad(estimate, (0, 0, 0, spectra.shape[1] - frames)), spectra

    def separate(self, song: np.ndarray) -> np.ndarray:
        """(T,) mixture to (T,) source."""
        self.network.eval()
        piece = round(PIECE_SECONDS * self.source.sample_rate)
        found = []
        with torch.no_grad():
            for start in range(0, len(song), piece):
                wave = torch.from_numpy(song[start : start + piece])
                padded = torch.nn.functional.pad(wave, (0, max(0, 2 * self.source.min_samples - len(wave))))[None]
                magnitude, spectra = self.magnitudes(padded)
                found.append(istft(wiener(magnitude[0], spectra[0])[None], padded.shape[1])[0, : len(wave)].cpu())
        return torch.cat(found).numpy()


def sdr_of(probe: SeparationProbe, data: ProbeData, split: str) -> float:
    """Mean SDR over the songs of a split."""
    found = []
    for song in data.clips[split]:
        mixture, target = whole_song(data.folder, song, probe.settings.target, probe.source.sample_rate)
        found.append(challenge_sdr(target, probe.separate(mixture)))
    return float(np.mean(found))


def train_network(probe: SeparationProbe, data: ProbeData, protocol: Protocol, best: Path, quiet: bool) -> float:
    """Train with random mixtures; the weights of the best epoch by validation SDR are stored in ``best`` and loaded.

    Returns:
        The best validation SDR.
    """
    settings = probe.settings
    optimizer = torch.optim.Adam(probe.network.parameters(), settings.learning_rate)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", 0.5, protocol.lr_patience)
    random = np.random.default_rng(settings.seed)
    songs = data.clips["train"]
    highest, waited = -np.inf, 0
    for _ in tqdm(range(protocol.max_epochs), desc=f"separating {settings.target}", disable=quiet, leave=False):
        probe.network.train()
        count = settings.samples_per_song * len(songs)
        for mixtures, targets in random_mixtures(
            data.folder, songs, settings.target, probe.source.sample_rate, count, BATCH, random
        ):
            estimate, _ = probe.magnitudes(torch.from_numpy(mixtures))
            wanted = stft(torch.from_numpy(targets).to(probe.device)).abs()
            loss = (estimate - wanted).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        score = sdr_of(probe, data, "valid")
        plateau.step(score)
        if score > highest:
            highest, waited = score, 0
            torch.save(probe.network.state_dict(), best)
        else:
            waited += 1
            if waited >= protocol.stop_patience:
                break
    probe.network.load_state_dict(torch.load(best, weights_only=True))
    return highest


def challenge_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """10 log10 of the reference's energy over the error's, over all samples and channels of a song, in dB.

    Args:
        reference: of any shape.
        estimate: of the same shape.

    Raises:
        ValueError: if the shapes differ.
    """
    if reference.shape != estimate.shape:
        raise ValueError(f"found an estimate of shape {estimate.shape}, expected {reference.shape} as the reference.")
    reference, estimate = reference.astype(np.float64), estimate.astype(np.float64)
    energy, error = np.square(reference).sum(), np.square(reference - estimate).sum()
    return float(10 * np.log10((energy + EPSILON) / (error + EPSILON)))
