"""The quickstart's instruments: one note in, its waveform out. Additive and FM synthesis, numpy only.

Each instrument is a function of the note's frequency in Hz, its length in seconds and a random generator (for phases
and noise), and returns float64 samples at 24 kHz, peak about 1, fading to zero at both ends.
"""

from collections.abc import Callable

import numpy as np

SAMPLE_RATE = 24_000
HIGHEST_PARTIAL_HZ = 10_000  # partials above are left out, well below half the sample rate: no aliasing
Instrument = Callable[[float, float, np.random.Generator], np.ndarray]


def _times(seconds: float) -> np.ndarray:
    """(T,) time of each sample in seconds."""
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def envelope(seconds: float, attack_seconds: float, release_seconds: float) -> np.ndarray:
    """(T,) gain that rises over the attack, holds at 1 and falls over the release, both raised cosines.

    Attack and release are shortened to half the note where the note is too short for them.
    """
    t = _times(seconds)
    attack, release = (min(ramp, seconds / 2) for ramp in (attack_seconds, release_seconds))
    rise = np.clip(t / max(attack, 1e-4), 0, 1)
    fall = np.clip((seconds - t) / max(release, 1e-4), 0, 1)
    return (0.5 - 0.5 * np.cos(np.pi * rise)) * (0.5 - 0.5 * np.cos(np.pi * fall))


def _partials(frequency_hz: float, count: int) -> np.ndarray:
    """The first ``count`` harmonic numbers whose frequency stays below HIGHEST_PARTIAL_HZ; at least the fundamental."""
    return np.arange(1, max(1, min(count, int(HIGHEST_PARTIAL_HZ / frequency_hz))) + 1)


def _additive(frequency_hz: float, t: np.ndarray, gains: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sum of harmonics 1, 2, ... with ``gains`` (K,) or, varying in time, (K, T); random phases; peak about 1."""
    gains = gains if gains.ndim == 2 else gains[:, None]
    wave = np.zeros_like(t)
    for k, gain in enumerate(gains, start=1):
        wave += gain * np.sin(2 * np.pi * (k * frequency_hz * t + rng.random()))
    return wave / gains.max(axis=1).sum() * 1.5


def pluck(frequency_hz: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A plucked string: harmonics notched by the plucking place, the high ones dying first."""
    t, k = _times(seconds), _partials(frequency_hz, 14)
    notched = np.abs(np.sin(np.pi * k * 0.21)) / k
    decays = np.exp(-t * (1.2 + 0.9 * k[:, None]))
    return _additive(frequency_hz, t, notched[:, None] * decays, rng) * envelope(seconds, 0.003, 0.03)


def bell(frequency_hz: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A struck bell by frequency modulation: modulator at 3.5 times the carrier, so its partials are inharmonic."""
    t = _times(seconds)
    depth = 2.2 * np.exp(-3.0 * t)
    modulator = depth * np.sin(2 * np.pi * 3.5 * min(frequency_hz, 1200.0) * t + rng.random())
    return np.sin(2 * np.pi * frequency_hz * t + modulator) * np.exp(-2.2 * t) * envelope(seconds, 0.002, 0.05)


def electric_piano(frequency_hz: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A soft tine: frequency modulation at the note's own frequency, its brightness decaying with the note."""
    t = _times(seconds)
    modulator = 1.4 * np.exp(-4.0 * t) * np.sin(2 * np.pi * frequency_hz * t)
    phase = rng.random() * 2 * np.pi
    return np.sin(2 * np.pi * frequency_hz * t + modulator + phase) * np.exp(-1.1 * t) * envelope(seconds, 0.006, 0.06)


def pad(frequency_hz: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Slow strings: three saws, detuned by 6 cents to either side, with a long attack and release."""
    t, gains = _times(seconds), 1.0 / _partials(frequency_hz, 10) ** 1.3
    voices = [_additive(frequency_hz * 2 ** (cents / 1200), t, gains, rng) for cents in (-6.0, 0.0, 6.0)]
    return np.mean(voices, axis=0) * envelope(seconds, 0.15, 0.25)


def organ(frequency_hz: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Four drawbars, harmonics 1, 2, 3 and 4, held level."""
    gains = np.array([1.0, 0.7, 0.5, 0.3])[: len(_partials(frequency_hz, 4))]
    return _additive(frequency_hz, _times(seconds), gains, rng) * envelope(seconds, 0.01, 0.04)


def reed(frequency_hz: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A clarinet-like lead: odd harmonics, and a 5 Hz vibrato that sets in after 0.2 s."""
    t, k = _times(seconds), _partials(frequency_hz, 9)
    vibrato_seconds = 0.0008 * np.clip((t - 0.2) / 0.2, 0, 1) * np.sin(2 * np.pi * 5.0 * t) * (220 / frequency_hz)
    gains = np.where(k % 2 == 1, 1.0, 0.12) / k
    return _additive(frequency_hz, t + vibrato_seconds, gains, rng) * envelope(seconds, 0.03, 0.06)


def bass(frequency_hz: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A round bass: few harmonics, softly saturated."""
    t, k = _times(seconds), _partials(frequency_hz, 5)
    wave = _additive(frequency_hz, t, 1.0 / k**1.5, rng) * np.exp(-1.5 * t)
    return np.tanh(1.5 * wave) * envelope(seconds, 0.006, 0.04)


def kick(frequency_hz: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A bass drum: a sine that falls from four times ``frequency_hz`` to it within some 50 ms."""
    t = _times(seconds)
    phase = frequency_hz * (t + 3 * 0.03 * (1 - np.exp(-t / 0.03)))
    return np.sin(2 * np.pi * phase) * np.exp(-9.0 * t) * envelope(seconds, 0.001, 0.02)


def snare(frequency_hz: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A snare drum: noise over a short tone."""
    t = _times(seconds)
    noise = rng.standard_normal(len(t)) * 0.35 * np.exp(-18.0 * t)
    tone = 0.6 * np.sin(2 * np.pi * frequency_hz * t) * np.exp(-25.0 * t)
    return (noise + tone) * envelope(seconds, 0.001, 0.02)


def hat(frequency_hz: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A closed hi-hat: noise differentiated twice, which leaves the treble; ``frequency_hz`` sets how fast it dies."""
    t = _times(seconds)
    noise = np.diff(rng.standard_normal(len(t) + 2), n=2) * 0.12
    return noise * np.exp(-t * frequency_hz / 150.0) * envelope(seconds, 0.0005, 0.01)


PITCHED: dict[str, Instrument] = {
    "pluck": pluck,
    "bell": bell,
    "electric_piano": electric_piano,
    "pad": pad,
    "organ": organ,
    "reed": reed,
    "bass": bass,
}
DRUMS: dict[str, Instrument] = {"kick": kick, "snare": snare, "hat": hat}
