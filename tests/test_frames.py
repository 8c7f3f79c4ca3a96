"""The clock, against exact fractions."""

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mert_fairseq.frames import (
    WAV2VEC2_LAYERS,
    ConvLayer,
    conv_stride,
    decoded_length_agrees,
    hop_samples,
    label_span,
    lengths_agree,
    num_conv_frames,
    num_label_frames,
    paired_targets,
    parse_conv_layers,
    receptive_field,
)

LAYERS = parse_conv_layers(WAV2VEC2_LAYERS)
CLOCKS = st.sampled_from(
    [(24_000, 75.0), (16_000, 50.0), (24_000, 50.0), (44_100, 75.0), (32_000, 62.5), (48_000, 25.0)]
)
HOURS_AT_48K = 20 * 3600 * 48_000


@pytest.mark.parametrize(("seconds", "frames", "labels"), [(1, 74, 75), (5, 374, 375), (30, 2249, 2250)])
def test_conv_frames_trail_the_75_hz_labels_by_one(seconds, frames, labels):
    samples = seconds * 24_000
    assert num_conv_frames(samples, LAYERS) == frames == samples // 320 - 1
    assert num_label_frames(samples, 24_000, 75.0) == labels


def test_the_wav2vec_stack_steps_320_samples_and_sees_400():
    assert [ConvLayer(512, 10, 5), *[ConvLayer(512, 3, 2)] * 4, *[ConvLayer(512, 2, 2)] * 2] == LAYERS
    assert (conv_stride(LAYERS), receptive_field(LAYERS)) == (320, 400)


@given(
    st.lists(st.builds(ConvLayer, st.just(1), st.integers(1, 6), st.integers(1, 4)), min_size=1, max_size=4),
    st.integers(1, 400),
)
def test_conv_frames_are_those_of_torch(layers, samples):
    wave = torch.zeros(1, 1, samples)
    for layer in layers:
        if wave.shape[-1] < layer.kernel:
            assert num_conv_frames(samples, layers) == 0
            return
        wave = torch.nn.functional.conv1d(wave, torch.zeros(1, 1, layer.kernel), stride=layer.stride)
    assert num_conv_frames(samples, layers) == wave.shape[-1]


@given(st.lists(st.builds(ConvLayer, st.just(1), st.integers(1, 6), st.integers(1, 4)), min_size=1, max_size=4))
def test_the_receptive_field_is_the_shortest_clip_with_a_frame(layers):
    samples = receptive_field(layers)
    assert num_conv_frames(samples, layers) == 1
    assert num_conv_frames(samples - 1, layers) == 0
    assert num_conv_frames(samples + 7 * conv_stride(layers), layers) == 8


@given(st.integers(0, HOURS_AT_48K), CLOCKS)
def test_labels_are_counted_exactly_for_hours(samples, clock):
    sample_rate, rate = clock
    expected = ceil(samples * Fraction(rate) / sample_rate)
    assert num_label_frames(samples, sample_rate, rate) == expected
    assert num_label_frames(np.array([samples]), sample_rate, rate).tolist() == [expected]


@given(st.integers(0, 10**7), st.integers(1, 10**6), st.sampled_from([(24_000, 75.0), (16_000, 50.0), (32_000, 62.5)]))
def test_a_crop_on_a_label_spans_the_labels_that_it_touches(label, samples, clock):
    start = label * hop_samples(*clock)
    first, last = label_span(start, samples, *clock)
    assert first == label
    assert last == ceil(Fraction(start + samples) * Fraction(clock[1]) / clock[0])


@pytest.mark.parametrize(
    ("sample_rate", "rate", "hop"), [(24_000, 75.0, 320), (16_000, 50.0, 320), (32_000, 62.5, 512)]
)
def test_hop(sample_rate, rate, hop):
    assert hop_samples(sample_rate, rate) == hop


def test_a_hop_that_is_not_a_whole_number_of_samples_is_an_error():
    with pytest.raises(
        ValueError, match=r"label_rate 75 Hz does not divide sample_rate 16000 Hz.*such as 50 Hz at 16000 Hz"
    ):
        hop_samples(16_000, 75.0)


@given(st.integers(1, 5000), st.integers(1, 5000), st.fractions(Fraction(1, 8), 8, max_denominator=75))
def test_a_frame_pairs_with_the_target_that_sounds_when_it_starts(frames, targets, ratio):
    expected = [floor(frame * ratio) for frame in range(frames) if (frame + 1) * ratio <= targets]
    assert paired_targets(frames, targets, float(ratio)).tolist() == expected


def test_surplus_targets_and_frames_are_dropped():
    assert paired_targets(374, 375).tolist() == list(range(374))
    assert paired_targets(374, 376).tolist() == list(range(374))
    assert paired_targets(374, 370).tolist() == list(range(370))


@pytest.mark.parametrize("text", [
    "", "[]", "[(512,10)]", "[(512,10,0)]", "[(512,10,-5)]", "[(512,10,5)", "__import__('os').system('true')",
    "[(512,10,5.0)]", "[(512,10,5)] - [(1,1,1)]",
])  # fmt: skip
def test_invalid_conv_layers_are_an_error_with_an_example(text):
    with pytest.raises(ValueError, match=r"conv_feature_layers: .*Expected a list of \(channels, kernel, stride\)"):
        parse_conv_layers(text)


@pytest.mark.parametrize(
    ("found", "expected", "rate_hz", "agree"),
    [
        (117_600, 120_000, 24_000, True),  # 0.1 s
        (117_599, 120_000, 24_000, False),
        (122_400, 120_000, 24_000, True),
        (122_401, 120_000, 24_000, False),
        (368, 375, 75.0, True),  # 7 labels are 0.093 s
        (367, 375, 75.0, False),
        (3, 6, 75.0, True),  # within 0.1 s: half is enough
        (2, 6, 75.0, False),
    ],
)
def test_one_rule_says_how_far_lengths_may_differ(found, expected, rate_hz, agree):
    assert lengths_agree(found, expected, rate_hz) == agree
    assert lengths_agree(np.array([found, expected]), np.array([expected, expected]), rate_hz).tolist() == [agree, True]


@pytest.mark.parametrize(
    ("audio_format", "tolerant"),
    [("MP3/MPEG_LAYER_III", True), ("WAV/MPEG_LAYER_III", True), ("OGG/VORBIS", True), ("OGG/OPUS", True),
     ("WAV/PCM_16", False), ("FLAC/PCM_16", False), ("AIFF/FLOAT", False)],
)  # fmt: skip
def test_lossless_audio_is_as_long_as_it_says(audio_format, tolerant):
    assert decoded_length_agrees(118_000, 120_000, 24_000, audio_format) == tolerant
    assert decoded_length_agrees(120_000, 120_000, 24_000, audio_format)
