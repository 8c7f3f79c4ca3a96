"""Frames of padded clips, counted as the conv stack makes them and as fairseq's HuBERT does."""

import numpy as np
import pytest
import torch
from fairseq.models.hubert.hubert import HubertModel

from mert_fairseq.frames import WAV2VEC2_LAYERS, num_conv_frames, parse_conv_layers
from mert_fairseq.modules.padding import FramePadding, clip_lengths, exact_counts, published_counts

LAYERS = parse_conv_layers(WAV2VEC2_LAYERS)


@pytest.mark.parametrize("samples", [120_000, 24_123, 1_000])
def test_published_counts_are_huberts(samples):
    frames = num_conv_frames(samples, LAYERS)
    lengths = np.unique(np.linspace(1, samples, 200).astype(int))
    padding_mask = torch.arange(samples) >= torch.from_numpy(lengths)[:, None]
    theirs = HubertModel.forward_padding_mask(None, torch.empty(len(lengths), frames), padding_mask)
    ours = FramePadding.of(published_counts(lengths, samples, frames), frames, torch.device("cpu"))
    assert torch.equal(ours.mask, theirs)
    assert (ours.counts == (~theirs).sum(1).numpy()).all()


def test_exact_counts_are_the_conv_stacks_of_each_clip_alone():
    # 3 s: 72,000 samples make 224 frames, of which HuBERT's count in a batch of 5 s makes 225
    assert exact_counts(np.array([72_000, 120_000, 400, 399]), LAYERS).tolist() == [224, 374, 1, 0]
    assert published_counts(np.array([72_000]), 120_000, 374).tolist() == [225]


def test_lengths_are_read_from_the_mask_unless_the_batch_brings_them():
    mask = torch.tensor([[False, False, True], [False, False, False]])
    assert clip_lengths(mask).tolist() == [2, 3]
    assert clip_lengths(mask, np.array([1, 3])).tolist() == [1, 3]
    assert clip_lengths(None) is None
