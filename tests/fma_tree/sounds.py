"""Short made-up songs whose genre can be heard: tempo, register, timbre and noise go by the genre."""

import zlib

import numpy as np

SCALE_SEMITONES = (0, 2, 4, 7, 9)  # major pentatonic: any two tones sound well together


def make_song(rng: np.random.Generator, genre: int, seconds: float, sample_rate: int, channels: int = 2) -> np.ndarray:
    """A song in the manner of a genre.

    Args:
        rng: draws the melody, the key, and a little of tempo and loudness.
        genre: any integer; the same one gives the same manner.
        seconds: length.
        sample_rate: in Hz.
        channels: 1 or 2; the second channel is the first, a little softer.

    Returns:
        (T, channels) float32, peak between 0.4 and 0.8.
    """
    manner = np.random.default_rng(zlib.crc32(b"manner %d" % genre))
    beats_a_minute = manner.uniform(60, 180) * rng.uniform(0.97, 1.03)
    register_hz = 55.0 * 2 ** manner.uniform(0.5, 3.5)
    harmonics = int(manner.integers(1, 12))
    noise = manner.uniform(0, 0.3)
    decay_a_second = manner.uniform(1, 12)
    samples = round(seconds * sample_rate)
    time_s = np.arange(samples) / sample_rate
    beat = np.minimum(time_s * beats_a_minute / 60, 1e6)
    degrees = rng.choice(SCALE_SEMITONES, int(beat[-1]) + 1 if samples else 1) + rng.integers(12)
    pitch_hz = register_hz * 2 ** (degrees[beat.astype(int)] / 12)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / sample_rate
    envelope = np.exp(-decay_a_second * (beat % 1) * 60 / beats_a_minute)
    tone = sum(np.sin(k * phase) / k for k in range(1, harmonics + 1))
    wave = envelope * (tone + noise * rng.standard_normal(samples))
    if samples:
        wave *= rng.uniform(0.4, 0.8) / np.abs(wave).max()
    return np.stack([wave, 0.9 * wave][:channels], axis=1).astype(np.float32)
