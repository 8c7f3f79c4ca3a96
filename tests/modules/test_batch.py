"""Frame counts of padded clips: those of the conv stack, and those of fairseq's HuBERT."""

import numpy as np
import pytest
import torch
from fairseq.models.hubert.hubert import HubertModel

from mert_fairseq.frames import WAV2VEC2_LAYERS, num_conv_frames, parse_conv_layers
from mert_fairseq.modules.batch import (
    FramePadding,
    clip_lengths,
    exact_frame_counts,
    frame_counts,
    published_frame_counts,
)

LAYERS = parse_conv_layers(WAV2VEC2_LAYERS)


@pytest.mark.parametrize("samples", [120_000, 24_123, 1_000])
def test_published_frame_counts_equal_huberts(samples):
    frames = num_conv_frames(samples, LAYERS)
    lengths = np.unique(np.linspace(1, samples, 200).astype(int))
    padding_mask = torch.arange(samples) >= torch.from_numpy(lengths)[:, None]
    theirs = HubertModel.forward_padding_mask(None, torch.empty(len(lengths), frames), padding_mask)
    counts = frame_counts(lengths, samples, frames, LAYERS, exact=False)
    ours = FramePadding.from_counts(counts, frames, torch.device("cpu"))
    assert torch.equal(ours.mask, theirs)
    assert (ours.counts == (~theirs).sum(1).numpy()).all()


def test_exact_frame_counts_are_the_conv_stacks_without_padding():
    # 3 s are 72,000 samples: 224 frames. In a batch of 5 s HuBERT counts 225.
    assert exact_frame_counts(np.array([72_000, 120_000, 400, 399]), LAYERS).tolist() == [224, 374, 1, 0]
    assert published_frame_counts(np.array([72_000]), 120_000, 374).tolist() == [225]


def test_lengths_are_read_from_the_mask_unless_the_batch_contains_them():
    mask = torch.tensor([[False, False, True], [False, False, False]])
    assert clip_lengths(mask).tolist() == [2, 3]
    assert clip_lengths(mask, np.array([1, 3])).tolist() == [1, 3]
    assert clip_lengths(None) is None
