"""Separation: the challenge's SDR, spectra, the Wiener filter, and a run from audio to results."""

import json

import numpy as np
import pytest
import torch

from mert_fairseq.probing.features.source import SpectralSource
from mert_fairseq.probing.run_probe import read_data
from mert_fairseq.probing.search.protocol import Protocol
from mert_fairseq.probing.separation.run_separation import run_separation
from mert_fairseq.probing.separation.songs import random_mixtures, whole_song
from mert_fairseq.probing.separation.spectra import BINS, istft, stft, wiener
from mert_fairseq.probing.separation.train_separation import challenge_sdr
from mert_fairseq.probing.separation.unmix_network import FeatureUnmix
from mert_fairseq.probing.tasks import find_task


def test_sdr_is_the_energy_of_the_song_over_that_of_the_error():
    reference = np.ones((1000, 2))
    # an error of a tenth everywhere: 10 log10(1 / 0.01)
    assert challenge_sdr(reference, 0.9 * reference) == pytest.approx(20, abs=1e-6)
    assert challenge_sdr(reference, 0 * reference) == pytest.approx(0, abs=1e-6)
    # all of the error in one channel: half the energy over 0.01 of it
    half = reference.copy()
    half[:, 1] = 0.9
    assert challenge_sdr(reference, half) == pytest.approx(10 * np.log10(2 / 0.01), abs=1e-6)
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \(4,\)"):
        challenge_sdr(np.ones(4), np.ones(3))


def test_silence_is_finite():
    assert challenge_sdr(np.zeros(10), np.zeros(10)) == pytest.approx(0)


def test_spectra_come_back_as_the_wave():
    wave = torch.randn(2, 24_000)
    spectra = stft(wave)
    assert spectra.shape == (2, 24_000 // 320 + 1, BINS)
    torch.testing.assert_close(istft(spectra, 24_000), wave, atol=1e-5, rtol=1e-4)


def test_the_filter_returns_the_mixture_for_the_mixture_and_silence_for_silence():
    mixture = stft(torch.randn(1, 24_000))[0]
    assert (wiener(mixture.abs(), mixture) - mixture).norm() < 1e-3 * mixture.norm()
    assert wiener(torch.zeros(mixture.shape), mixture).abs().max() == 0


def test_the_filter_equals_open_unmixs_for_one_channel():
    filtering = pytest.importorskip("openunmix.filtering")
    mixture = 30 * stft(torch.randn(1, 12_000))[0]
    magnitude = mixture.abs() * torch.rand(mixture.shape)
    targets = magnitude[..., None, None]  # frames, bins, channels, sources
    expected = filtering.wiener(
        targets, torch.view_as_real(mixture)[:, :, None], iterations=1, softmask=False, residual=True
    )
    found = torch.view_as_real(wiener(magnitude, mixture))
    torch.testing.assert_close(found, expected[:, :, 0, :, 0], atol=1e-3, rtol=1e-3)


def test_the_network_returns_magnitudes_that_are_not_negative():
    network = FeatureUnmix(states=3, width=10, hidden=16)
    magnitudes = torch.rand(2, 7, BINS)
    estimate = network(torch.randn(2, 3, 7, 10), magnitudes)
    assert estimate.shape == (2, 7, BINS)
    assert (estimate >= 0).all()
    assert FeatureUnmix(1, 10, 16).mix is None


def test_mixtures_are_drawn_by_the_seed_and_songs_are_the_sum_of_their_stems(tree):
    data = find_task("musdb18").read(tree("musdb18"))
    songs = data.clips["train"]
    draws = [
        next(random_mixtures(data.folder, songs, "vocals", 24_000, 2, 2, np.random.default_rng(seed)))
        for seed in (1, 1, 2)
    ]
    assert draws[0][0].shape == (2, 144_000)
    np.testing.assert_array_equal(draws[0][0], draws[1][0])
    assert not np.array_equal(draws[0][0], draws[2][0])
    mixture, vocals = whole_song(data.folder, songs[0], "vocals", 24_000)
    others = sum(whole_song(data.folder, songs[0], name, 24_000)[1] for name in ("drums", "bass", "other"))
    np.testing.assert_allclose(mixture - vocals, others, atol=1e-5)


def test_a_separation_runs_from_audio_to_results_and_is_not_repeated(tree, tmp_path):
    task = find_task("musdb18")
    data = read_data(task, tree("musdb18"), tmp_path)
    protocol = Protocol(seeds=(1,), max_epochs=1)
    options = {"device": "cpu", "quiet": True, "samples_per_song": 1, "hidden": 32}
    results = run_separation(task, data, SpectralSource("logmel"), protocol, tmp_path, **options)
    assert set(results["scores"]) == {"sdr", "sdr_vocals", "sdr_drums", "sdr_bass", "sdr_other"}
    assert all(np.isfinite(each["mean"]) for each in results["scores"].values())
    weights = sorted((tmp_path / "musdb18/logmel").glob("*.pt"))
    assert len(weights) == 4
    (tmp_path / "musdb18/logmel/results.json").unlink()
    before = [path.stat().st_mtime_ns for path in weights]
    again = run_separation(task, data, SpectralSource("logmel"), protocol, tmp_path, **options)
    assert [path.stat().st_mtime_ns for path in weights] == before
    assert json.dumps(again) == json.dumps(results)


def test_a_model_of_another_rate_is_an_error(tree, tmp_path):
    source = SpectralSource("logmel")
    source.sample_rate, source.rate_hz = 16_000, 50.0
    task = find_task("musdb18")
    with pytest.raises(ValueError, match="16000 Hz and 50 frames per second, expected 24000 Hz and a hop of 320"):
        run_separation(task, None, source, Protocol(), tmp_path, device="cpu")
