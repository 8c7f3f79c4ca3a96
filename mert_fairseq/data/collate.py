"""Makes a batch of clips: cuts or pads them to one length, and collects the classes of their frames."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mert_fairseq.data.sampling import crop_start
from mert_fairseq.frames import hop_samples, label_span
from mert_fairseq.labels.dictionary import PAD
from mert_fairseq.modules.mask_sampler import MaskSampler
from mert_fairseq.modules.waveform import float_wave, standardised


def pad_waves(waves: Sequence[np.ndarray]) -> tuple[Tensor, Tensor | None]:
    """Append zeros to the shorter waves.

    Args:
        waves: B waves, each (T',), all of one type.

    Returns:
        (B, T) of that type, and a mask (B, T) bool, True for padding, or None without padding.
    """
    padded = np.zeros((len(waves), max(map(len, waves))), dtype=waves[0].dtype)
    padding = np.ones(padded.shape, dtype=bool)
    for row, wave in enumerate(waves):
        padded[row, : len(wave)] = wave
        padding[row, : len(wave)] = False
    return torch.from_numpy(padded), torch.from_numpy(padding) if padding.any() else None


class Clip(NamedTuple):
    """What a worker reads for one index.

    Attributes:
        track: its line in the manifest, from 0.
        wave: (T,) int16.
        classes: (L, Q) int64.
        trim: position in [0, 1) of a second crop, needed if the batch is shorter.
        clip_seed: of its mask and mixture.
        replaced: whether the track is unreadable, and this clip is from another one.
    """

    track: int
    wave: np.ndarray
    classes: np.ndarray
    trim: float
    clip_seed: int
    replaced: bool


class Collater:
    """Makes batches of B clips, T samples, Q columns, L labels.

    Args:
        sample_rate: in Hz.
        label_rate_hz: labels per second.
        pad_audio: pad to the longest clip; False cuts to the shortest.
        random_crop: False keeps the beginning of a clip.
        normalize: scale each clip to zero mean and unit variance, as float32.
        mask_sampler: samples the masks; None leaves that to the model.
    """

    def __init__(
        self,
        sample_rate: int,
        label_rate_hz: float,
        pad_audio: bool,
        random_crop: bool,
        normalize: bool,
        mask_sampler: MaskSampler | None = None,
    ) -> None:
        self._sample_rate, self._label_rate_hz = sample_rate, label_rate_hz
        self._hop = hop_samples(sample_rate, label_rate_hz)
        self._pad_audio, self._random_crop, self._normalize = pad_audio, random_crop, normalize
        self._mask_sampler = mask_sampler

    def __call__(self, clips: Sequence[Clip]) -> dict[str, Any]:
        """Make a batch.

        Returns:
            A dictionary, empty without clips:

            - id: (B,) int64.
            - net_input: source (B, T) int16, or float32 if normalised; padding_mask (B, T) bool, True for padding, or
              None; clip_seeds and lengths in samples, (B,) int64 arrays; with a mask sampler also mask_indices (B, F)
              bool and mask_positions (S,) int64, as for the model's ``forward``.
            - target_list: (Q, B, L) int64, padded with 1.
            - target_lengths_list, (B,) int64 arrays, and ntokens_list: one entry per column.
            - ntokens: labels of a column.
            - unreadable: number of clips that replace an unreadable track.
        """
        if not clips:
            return {}
        samples = (max if self._pad_audio else min)(len(clip.wave) for clip in clips)
        clips = [self._trim(clip, samples) for clip in clips]
        waves = [clip.wave for clip in clips]
        source, padding_mask = pad_waves(waves)
        if self._normalize:
            source = standardised(float_wave(source), padding_mask)
        labels = np.array([len(clip.classes) for clip in clips])
        targets = np.full((clips[0].classes.shape[1], len(clips), labels.max()), PAD, dtype=np.int64)
        for row, clip in enumerate(clips):
            targets[:, row, : len(clip.classes)] = clip.classes.T
        return {
            "id": torch.tensor([clip.track for clip in clips]),
            "net_input": {"source": source, "padding_mask": padding_mask, **self._seeds_and_masks(clips, labels.max())},
            "target_list": torch.from_numpy(targets),
            "target_lengths_list": [labels] * len(targets),
            "ntokens_list": [int(labels.sum())] * len(targets),
            "ntokens": int(labels.sum()),
            "unreadable": sum(clip.replaced for clip in clips),
        }

    def _seeds_and_masks(self, clips: Sequence[Clip], labels: int) -> dict[str, Any]:
        # NumPy arrays stay on the CPU, where the mixture is sampled: reading them does not wait for the GPU.
        clip_seeds = np.array([clip.clip_seed for clip in clips])
        lengths = np.array([len(clip.wave) for clip in clips])
        numbers = {"clip_seeds": clip_seeds, "lengths": lengths}
        if self._mask_sampler is None:
            return numbers
        mask, positions = self._mask_sampler(clip_seeds, lengths, labels)
        return {**numbers, "mask_indices": torch.from_numpy(mask), "mask_positions": torch.from_numpy(positions)}

    def _trim(self, clip: Clip, samples: int) -> Clip:
        """Crop a clip that is longer than its batch, at a label boundary."""
        if len(clip.wave) <= samples:
            return clip
        start = crop_start(clip.trim, len(clip.wave), samples, self._hop) if self._random_crop else 0
        first, last = label_span(start, samples, self._sample_rate, self._label_rate_hz)
        return clip._replace(wave=clip.wave[start : start + samples], classes=clip.classes[first:last])
