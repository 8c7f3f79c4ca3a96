"""Clips as waves: the excerpt decoded at the file's rate, resampled, standardised as a whole, cut into windows."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mert_fairseq.audio import AudioError, probe, read_span, resample_blocks, stream_blocks
from mert_fairseq.probing.probe_data import Clip

NORM_EPSILON = 1e-7  # of transformers' Wav2Vec2FeatureExtractor


@dataclass(frozen=True)
class Windows:
    """How a clip is fed to a model.

    Attributes:
        seconds: length of a window; None for the whole clip as one window.
        shortest_seconds: a last window below this is dropped.
        first_seconds: use only this much of the clip; None for all of it.
        pad_seconds: shorter clips are filled with zeros, longer ones are cut; None keeps the length.
        peak: whether the clip is scaled to a peak of 1 before it is standardised.
        frames: whether frames are kept instead of their means; one hop of zeros is added for the last frame.
        statistics: whether a window is described by mean and standard deviation over time whatever the source;
            otherwise baselines are, and models by the mean alone.
    """

    seconds: float | None = None
    shortest_seconds: float = 1.0
    first_seconds: float | None = None
    pad_seconds: float | None = None
    peak: bool = False
    frames: bool = False
    statistics: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """All fields, for digests and JSON."""
        return asdict(self)


def load_wave(folder: Path, clip: Clip, sample_rate: int, windows: Windows, normalize: bool) -> np.ndarray:
    """Decode a clip.

    Args:
        folder: of the data set.
        clip: what to decode.
        sample_rate: of the result, in Hz.
        windows: of the task.
        normalize: whether to give the clip zero mean and unit variance.

    Returns:
        (T,) float32, mono.

    Raises:
        AudioError: if the file cannot be decoded, or the clip is empty or not finite.
    """
    path = folder / clip.path
    wave = _decode(path, clip, windows.first_seconds, sample_rate)
    if not len(wave) or not np.isfinite(wave).all():
        raise AudioError(f"{path}: clip {clip.id} is {'not finite' if len(wave) else 'empty'}. Fetch the file again.")
    if windows.peak and (peak := float(np.abs(wave).max())):
        wave = wave / peak
    if normalize:
        wave = (wave - wave.mean()) / np.sqrt(wave.var() + NORM_EPSILON)
    if windows.pad_seconds is not None:
        samples = round(windows.pad_seconds * sample_rate)
        wave = np.pad(wave[:samples], (0, max(0, samples - len(wave))))
    return wave.astype(np.float32)


def _decode(path: Path, clip: Clip, first_seconds: float | None, sample_rate: int) -> np.ndarray:
    lengths = [seconds for seconds in (clip.seconds, first_seconds) if seconds is not None]
    if not lengths and not clip.start_seconds:
        rate = probe(path).sample_rate
        blocks = list(stream_blocks(path))
        wave = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    else:
        info = probe(path)
        rate = info.sample_rate
        start = min(round(clip.start_seconds * rate), info.samples)
        samples = info.samples - start
        if lengths:
            samples = min(samples, round(min(lengths) * rate))
        wave = read_span(path, start, samples, dtype="float32")
    return np.concatenate(list(resample_blocks([wave], rate, sample_rate)))


def cut_windows(wave: np.ndarray, sample_rate: int, windows: Windows, min_samples: int) -> list[np.ndarray]:
    """The windows of a clip, end to end; at least one.

    Args:
        wave: (T,).
        sample_rate: in Hz.
        windows: lengths.
        min_samples: the shortest wave of the model; a shorter clip is filled with zeros.
    """
    if len(wave) < min_samples:
        wave = np.pad(wave, (0, min_samples - len(wave)))
    if windows.seconds is None:
        return [wave]
    size = round(windows.seconds * sample_rate)
    shortest = max(min_samples, round(windows.shortest_seconds * sample_rate))
    cut = [wave[start : start + size] for start in range(0, len(wave), size)]
    return [window for window in cut if len(window) >= shortest] or [wave[:size]]
