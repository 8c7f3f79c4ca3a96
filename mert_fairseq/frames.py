"""The clock: conversion between samples, encoder frames and teacher frames. Only this module trims one to another.

At 24 kHz with the wav2vec 2.0 conv stack, 5 s is 120,000 samples, 374 encoder frames, 375 codes at 75 Hz and 376
centred CQT frames. Frame i pairs with code i and with CQT frame i; surplus codes and CQT frames at the end are dropped.
"""

import ast
import math
from fractions import Fraction
from typing import NamedTuple, TypeVar

import numpy as np

Count = TypeVar("Count", int, np.ndarray)
MAX_RATIO_DENOMINATOR = 1 << 16
TOLERATED_SECONDS = 0.1
LOSSY_ENCODINGS = ("MPEG", "VORBIS", "OPUS")  # prefixes of libsndfile's names
WAV2VEC2_LAYERS = "[(512,10,5)] + [(512,3,2)] * 4 + [(512,2,2)] * 2"


class ConvLayer(NamedTuple):
    """One layer of the conv stack: output channels, kernel and stride in its input's frames."""

    channels: int
    kernel: int
    stride: int


def parse_conv_layers(text: str) -> list[ConvLayer]:
    """Read fairseq's notation for the conv stack without executing it.

    Args:
        text: lists of ``(channels, kernel, stride)``, joined by ``+`` and repeated by ``*``, such as
            ``[(512,10,5)] + [(512,3,2)] * 4``.

    Raises:
        ValueError: if the text holds anything else; the message shows the text and the expected form.
    """

    def invalid(why: str) -> ValueError:
        return ValueError(
            f"conv_feature_layers: {why} in {text!r}. Expected a list of (channels, kernel, stride) with positive "
            f"integers, for example {WAV2VEC2_LAYERS!r}."
        )

    def read(node: ast.expr) -> list[ConvLayer]:
        match node:
            case ast.List(elts=elements):
                return [read_layer(element) for element in elements]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return read(left) + read(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=ast.Constant(value=int(times))):
                return read(left) * times
        raise invalid(f"cannot read {ast.unparse(node)!r}")

    def read_layer(node: ast.expr) -> ConvLayer:
        match node:
            case ast.Tuple(elts=[ast.Constant(value=int(c)), ast.Constant(value=int(k)), ast.Constant(value=int(s))]):
                if min(c, k, s) > 0:
                    return ConvLayer(c, k, s)
        raise invalid(f"{ast.unparse(node)!r} is not a layer")

    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise invalid("syntax error") from error
    layers = read(tree.body)
    if not layers:
        raise invalid("no layer")
    return layers


def conv_stride(layers: list[ConvLayer]) -> int:
    """Samples between two encoder frames: 320 for the wav2vec 2.0 stack."""
    return math.prod(layer.stride for layer in layers)


def receptive_field(layers: list[ConvLayer]) -> int:
    """Samples that one encoder frame sees, which is the shortest clip with a frame: 400 for the wav2vec 2.0 stack."""
    samples = 1
    for layer in reversed(layers):
        samples = (samples - 1) * layer.stride + layer.kernel
    return samples


def num_conv_frames(samples: int, layers: list[ConvLayer]) -> int:
    """Frames of the unpadded conv stack for ``samples``; 0 if the clip is shorter than the receptive field."""
    frames = samples
    for layer in layers:
        frames = (frames - layer.kernel) // layer.stride + 1
        if frames < 1:
            return 0
    return frames


def num_label_frames(samples: Count, sample_rate: int, label_rate_hz: float) -> Count:
    """Codes of a frame-wise teacher for ``samples``; a partial last frame counts (EnCodec pads it).

    Computed in integers, so that files of many hours do not drift. 120,000 samples at 24 kHz and 75 Hz have 375 codes.
    """
    rate_milli_hz = round(label_rate_hz * 1000)
    return -(-samples * rate_milli_hz // (sample_rate * 1000))


def hop_samples(sample_rate: int, label_rate_hz: float) -> int:
    """Samples per label.

    Raises:
        ValueError: if the label rate does not divide the sample rate; labels and samples would drift apart.
    """
    hop = sample_rate / label_rate_hz
    if hop != int(hop):
        stride = conv_stride(parse_conv_layers(WAV2VEC2_LAYERS))
        rate = sample_rate if sample_rate % stride == 0 else 24_000
        raise ValueError(
            f"label_rate {label_rate_hz:g} Hz does not divide sample_rate {sample_rate} Hz "
            f"({hop:g} samples per label). Use a rate with a whole number of samples per label, such as "
            f"{rate // stride} Hz at {rate} Hz."
        )
    return int(hop)


def label_span(start_samples: int, samples: int, sample_rate: int, label_rate_hz: float) -> tuple[int, int]:
    """First label (inclusive) and last label (exclusive) of a crop; ``start_samples`` is rounded to a label."""
    first = round(start_samples * label_rate_hz / sample_rate)
    return first, first + num_label_frames(samples, sample_rate, label_rate_hz)


def lengths_agree(found: int | np.ndarray, expected: int | np.ndarray, rate_hz: float) -> np.ndarray:
    """The tolerance for the length of a track, in samples or in labels; the same in every stage.

    Encoders and decoders of lossy audio disagree on padding, a last frame may be lost, and teachers differ by some
    frames at the end. So a difference of a tenth of a second is allowed, but at least half of a short track must exist.

    Args:
        found: decoded samples, or existing labels; a number, or (tracks,) int64.
        expected: the number by a header, a manifest or the clock.
        rate_hz: samples or labels per second.

    Returns:
        Whether they agree, (tracks,) bool, or one bool.
    """
    found = np.asarray(found)
    return (np.abs(found - expected) <= TOLERATED_SECONDS * rate_hz) & (2 * found >= expected)


def decoded_length_agrees(found: int, expected: int, sample_rate: int, audio_format: str) -> bool:
    """Whether a file has the length of its header or manifest: exactly if lossless, else by ``lengths_agree``.

    Args:
        found: decoded samples.
        expected: samples by the header or the manifest.
        sample_rate: in Hz.
        audio_format: libsndfile's name, such as ``MP3/MPEG_LAYER_III``.
    """
    if audio_format.rpartition("/")[2].startswith(LOSSY_ENCODINGS):
        return bool(lengths_agree(found, expected, sample_rate))
    return found == expected


def paired_targets(frames: int, targets: int, targets_per_frame: float = 1.0) -> np.ndarray:
    """The target that each encoder frame predicts.

    Args:
        frames: encoder frames of the clip.
        targets: teacher frames of the clip.
        targets_per_frame: ratio of the frame rates of teacher and encoder; 1 if both are 75 Hz.

    Returns:
        (F',) int64 indices into the targets, F' <= frames. Encoder frames from F' on have no complete target and are
        dropped.
    """
    # as a fraction: in floating point 198 * (199 / 198) comes out below 199
    ratio = Fraction(targets_per_frame).limit_denominator(MAX_RATIO_DENOMINATOR)
    frames = min(frames, math.floor(targets / ratio))
    return np.arange(frames, dtype=np.int64) * ratio.numerator // ratio.denominator
