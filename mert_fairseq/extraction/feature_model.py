"""Features in Python: ``load_mert`` for a model, ``extract_layers`` for an ``Encoder``."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mert_fairseq.audio import resample_blocks
from mert_fairseq.extraction.frozen_encoder import Encoder
from mert_fairseq.extraction.load_encoder import load_encoder
from mert_fairseq.extraction.reading import blocks_at
from mert_fairseq.extraction.windows import CONTEXT_SECONDS, WINDOW_SECONDS, Window, Windowing

# Shape letters: N requested states, F frames, D width, T samples.


def extract_layers(
    encoder: Encoder,
    wave: Tensor | np.ndarray,
    layers: Sequence[int] | None = None,
    window_seconds: float = WINDOW_SECONDS,
    context_seconds: float = CONTEXT_SECONDS,
    batch_size: int = 1,
) -> Tensor:
    """States of a wave of any length.

    Args:
        encoder: from ``load_encoder``.
        wave: (T,) float in [-1, 1] or int16, mono, at the encoder's rate.
        layers: the states to return, in this order; None for all.
        window_seconds: longer waves are cut into windows of this length; see ``windows``.
        context_seconds: at each side of a window: context only, these frames come from the neighbouring window.
        batch_size: windows per batch.

    Returns:
        (N, F, D) float32 on the CPU; F is (T - 400) // 320 + 1 for MERT.

    Raises:
        ValueError: if the wave has another shape, or is shorter than one frame sees, or there is no such layer.
    """
    return _features(
        encoder, [as_wave(wave)], layers, Windowing.of(encoder, window_seconds, context_seconds), batch_size
    )


class FeatureModel:
    """A model for features: ``load_mert`` makes one.

    Attributes:
        encoder: the model behind it.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    @property
    def sample_rate(self) -> int:
        """Of the audio that the model takes, in Hz: 24,000 for MERT."""
        return self.encoder.sample_rate

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second: 75 for MERT."""
        return self.encoder.frame_rate_hz

    @property
    def num_layers(self) -> int:
        """Number of states: state 0, which the first layer receives, and one per Transformer layer."""
        return self.encoder.num_layers

    @property
    def width(self) -> int:
        """D, values per frame: 768 for a 95M model."""
        return self.encoder.width

    @property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return self.encoder.digest

    def features(
        self,
        source: str | Path | np.ndarray | Tensor,
        layer: int | Sequence[int] | None = None,
        sample_rate: int | None = None,
        window_seconds: float = WINDOW_SECONDS,
        context_seconds: float = CONTEXT_SECONDS,
        batch_size: int = 1,
    ) -> Tensor:
        """Features of a file or a wave, of any length.

        Args:
            source: an audio file of any rate and number of channels; or (T,), mono, float in [-1, 1] or int16.
            layer: 0 for what the first Transformer layer receives, 1 to L for the outputs of the layers; a list of
                these; None for all.
            sample_rate: of ``source`` if it is a wave, in Hz; it is resampled. None for the model's rate.
            window_seconds: longer audio is cut into windows of this length.
            context_seconds: at each side of a window: context only, these frames come from the neighbouring window.
            batch_size: windows per batch.

        Returns:
            float32 on the CPU. (F, D) of one layer, F frames at ``frame_rate_hz``; (N, F, D) of a list; (L + 1, F, D)
            of all.

        Raises:
            AudioError: if the file cannot be read.
            ValueError: if the audio is shorter than one frame sees, a wave has another shape, or a layer is unknown.
        """
        windowing = Windowing.of(self.encoder, window_seconds, context_seconds)
        layers = [layer] if isinstance(layer, int) else layer
        blocks: Iterable[np.ndarray]
        if isinstance(source, str | Path):
            blocks = blocks_at(Path(source), self.sample_rate)
        else:
            blocks = resample_blocks([as_wave(source)], sample_rate or self.sample_rate, self.sample_rate)
        states = _features(self.encoder, blocks, layers, windowing, batch_size)
        return states[0] if isinstance(layer, int) else states


def load_mert(path_or_name: str | Path, device: str | torch.device | None = None) -> FeatureModel:
    """Load a model for features.

        model = load_mert("exp/checkpoint_last.pt")
        features = model.features("song.mp3", layer=7)  # (F, D), 75 frames per second

    Args:
        path_or_name: a checkpoint of fairseq, a Hugging Face folder (HuBERT, wav2vec 2.0, MERT) or its name.
        device: such as ``cpu`` or ``cuda``; None for a GPU if there is one.

    Raises:
        FileNotFoundError, ValueError, ImportError: as ``load_encoder``.
    """
    return FeatureModel(load_encoder(path_or_name, device))


def as_wave(wave: Tensor | np.ndarray) -> np.ndarray:
    """A wave as (T,) float32 in [-1, 1].

    Raises:
        ValueError: if it has another shape, or values that are not finite.
        TypeError: if it is neither float nor int16.
    """
    array: Any = wave.detach().cpu().numpy() if isinstance(wave, Tensor) else np.asarray(wave)
    if array.ndim != 1:
        raise ValueError(
            f"the wave has shape {array.shape}, expected (samples,): mono, one piece of audio. Average the channels: "
            f"wave.mean(0)."
        )
    if array.dtype == np.int16:
        return array.astype(np.float32) / 32768
    if array.dtype.kind != "f":
        raise TypeError(f"the wave is {array.dtype}, expected float in [-1, 1], or int16.")
    if not np.isfinite(array).all():
        raise ValueError("the wave holds NaN or infinity, expected finite samples.")
    return array.astype(np.float32)


def _features(
    encoder: Encoder, blocks: Iterable[np.ndarray], layers: Sequence[int] | None, windowing: Windowing, batch_size: int
) -> Tensor:
    """The kept frames of all windows, (N, F, D)."""
    chosen = encoder.check_layers(range(encoder.num_layers) if layers is None else layers)
    kept = []
    for batch in _batches(windowing.cut(blocks), batch_size):
        states = encoder.layers(torch.from_numpy(np.stack([window.wave for window in batch])), chosen)
        kept += [kept_frames(window, state) for window, state in zip(batch, states, strict=True)]
    if not kept:
        raise ValueError(
            f"the audio is shorter than {encoder.receptive_samples} samples at {encoder.sample_rate} Hz, which one "
            f"frame sees. Give a longer piece."
        )
    return torch.cat(kept, dim=1)


def kept_frames(window: Window, states: Tensor) -> Tensor:
    """The kept frames of a window's states (N, f, D), on the CPU."""
    return states[:, window.skipped : window.skipped + window.frames].cpu()


def _batches(windows: Iterable[Window], batch_size: int) -> Iterator[list[Window]]:
    """Up to ``batch_size`` windows; those of a file all have one length."""
    waiting = iter(windows)
    while batch := list(islice(waiting, batch_size)):
        yield batch
