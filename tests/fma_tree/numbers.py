"""The made-up features.csv and echonest.csv: the published columns, and genres that can be learnt from them.

Each genre has a centre and, opposite one another, two clusters around it. What the centres tell apart, a linear model
finds; what the clusters tell apart (a genre and its mirror image look alike on average) only a non-linear one does.
"""

import numpy as np
import pandas as pd

from mert_fairseq.fma.schema import ECHONEST_COLUMNS, ECHONEST_GROUPS, FEATURE_COLUMNS, FEATURES

LATENTS = 8  # what all features are mixed from

# Middle and spread over tracks of a feature's mean, and how far its values range within a track; orders of magnitude as
# in music at 44.1 kHz.
_SCALES = {
    "chroma_cens": (0.25, 0.05, 0.1),
    "chroma_cqt": (0.45, 0.08, 0.2),
    "chroma_stft": (0.4, 0.08, 0.2),
    "mfcc": (5.0, 12.0, 15.0),
    "rmse": (4.5, 1.5, 1.5),
    "spectral_bandwidth": (1600.0, 350.0, 350.0),
    "spectral_centroid": (1350.0, 400.0, 450.0),
    "spectral_contrast": (20.0, 2.0, 4.0),
    "spectral_rolloff": (2800.0, 1000.0, 1000.0),
    "tonnetz": (0.0, 0.04, 0.1),
    "zcr": (0.06, 0.02, 0.03),
}
_NOT_NEGATIVE = {"rmse", "zcr", *(name for name in FEATURES if name.startswith(("chroma", "spectral")))}


def make_features(rng: np.random.Generator, genres: np.ndarray, linear: float, mirrored: float) -> pd.DataFrame:
    """A features table without its index.

    Args:
        rng: source of all that is drawn.
        genres: (tracks,) what each track belongs to; any integers.
        linear: distance of the genres' centres from one another, in spreads within a cluster; 0 for none.
        mirrored: distance of a genre's two clusters from its centre, likewise.

    Returns:
        (tracks, 518) float64 with the published columns, in which min <= median <= max and std > 0.
    """
    names, place = np.unique(genres, return_inverse=True)
    centres = linear * _directions(rng, len(names))
    arms = mirrored * _directions(rng, len(names))
    sides = rng.choice([-1.0, 1.0], len(genres))[:, None]
    latents = rng.standard_normal((len(genres), LATENTS)) + centres[place] + sides * arms[place]
    columns: dict[tuple[str, str, str], np.ndarray] = {}
    for feature, size in FEATURES.items():
        mixing = rng.standard_normal((LATENTS, size)) / np.sqrt(LATENTS)
        noise = rng.standard_normal((len(genres), size))
        for moment, values in _moments(rng, feature, latents @ mixing + 0.5 * noise).items():
            columns.update({(feature, moment, f"{number:02d}"): values[:, number - 1] for number in range(1, size + 1)})
    table = pd.DataFrame(columns)[list(FEATURE_COLUMNS)]
    table.columns.names = ["feature", "statistics", "number"]
    return table


def _directions(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, LATENTS) vectors of length 1."""
    vectors = rng.standard_normal((count, LATENTS))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _moments(rng: np.random.Generator, feature: str, where: np.ndarray) -> dict[str, np.ndarray]:
    """The seven statistics of one feature, (tracks, size) each, from where the track's mean lies in spreads."""
    middle, spread, within = _SCALES[feature]
    mean = middle + spread * where
    if feature in _NOT_NEGATIVE:
        mean = np.maximum(mean, 0.1 * middle)
    std = within * rng.lognormal(0, 0.2, where.shape)
    skew = 0.5 * rng.standard_normal(where.shape)
    median = mean - 0.15 * skew * std
    low, high = median - std * rng.uniform(1, 4, where.shape), median + std * rng.uniform(1, 5, where.shape)
    if feature in _NOT_NEGATIVE:
        low, median = np.maximum(low, 0), np.maximum(median, 0)
    kurtosis = 1.5 * skew**2 + rng.normal(0, 0.7, where.shape)
    return {"kurtosis": kurtosis, "max": high, "mean": mean, "median": median, "min": low, "skew": skew, "std": std}


def make_echonest(rng: np.random.Generator, genres: np.ndarray, artists: list[str]) -> pd.DataFrame:
    """An echonest table without its index: (tracks, 249); danceability, energy and tempo lean on the genre."""
    rows = len(genres)
    tilt = (genres % 7) / 7.0
    table = pd.DataFrame(index=range(rows), columns=pd.MultiIndex.from_tuples(ECHONEST_COLUMNS), dtype=object)
    values: dict[tuple[str, str, str], object] = {}
    for name in ECHONEST_GROUPS["audio_features"]:
        values["echonest", "audio_features", name] = rng.beta(1 + 4 * tilt, 5 - 4 * tilt)
    values["echonest", "audio_features", "instrumentalness"] = rng.beta(0.4, 0.25, rows)
    values["echonest", "audio_features", "tempo"] = 80 + 80 * tilt + rng.normal(0, 15, rows)
    for name in ECHONEST_GROUPS["social_features"]:
        values["echonest", "social_features", name] = rng.beta(2, 5, rows)
        rank = rng.integers(1, 500_000, rows).astype(float)
        values["echonest", "ranks", f"{name}_rank"] = np.where(rng.random(rows) < 0.6, np.nan, rank)
    for name in ECHONEST_GROUPS["temporal_features"]:
        values["echonest", "temporal_features", name] = rng.normal(0, 1 + 20 * tilt)
    metadata = {
        "album_date": np.where(rng.random(rows) < 0.3, "2009-01-05", ""),
        "album_name": [f"Album of {artist}" for artist in artists],
        "artist_latitude": np.where(rng.random(rows) < 0.5, 40.7, np.nan),
        "artist_longitude": np.where(rng.random(rows) < 0.5, -74.0, np.nan),
        "artist_location": "Brooklyn, NY",
        "artist_name": artists,
        "release": [f"Album of {artist}" for artist in artists],
    }
    values.update({("echonest", "metadata", name): value for name, value in metadata.items()})
    for column, value in values.items():
        table[column] = value
    return table
