"""Compares all layers of an export with the checkpoint, before the export is kept."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mert_fairseq.models.mert import MERTModel
from mert_fairseq.modules.waveform import standardised

TOLERANCE = 1e-4  # of the largest absolute value of a layer
SECONDS = (1.0, 0.473)  # the second length is not a multiple of the hop


class States(NamedTuple):
    """What an encoder computes for a batch of waves.

    Attributes:
        layers: L + 1 tensors (B, F, D): what enters the first layer, then each layer's output, before any final norm.
        output: (B, F, D), after the last norm of pre-norm models.
    """

    layers: list[Tensor]
    output: Tensor

    @property
    def all(self) -> list[Tensor]:
        """Layers and output."""
        return [*self.layers, self.output]


def comparison_waves(sample_rate: int, normalised: bool) -> list[Tensor]:
    """Batches of two waves, noise and tones of different loudness, (2, T) float32 each."""
    generator = torch.Generator().manual_seed(0)
    waves = []
    for seconds in SECONDS:
        time = torch.arange(int(seconds * sample_rate)) / sample_rate
        tones = torch.stack([(2 * torch.pi * hertz * time).sin() for hertz in (110.0, 440.0)])
        noise = torch.randn(tones.shape, generator=generator)
        wave = 0.3 * tones + torch.tensor([[0.02], [0.2]]) * noise
        waves.append(standardised(wave) if normalised else wave)
    return waves


@torch.inference_mode()
def fairseq_states(encoder: MERTModel, wave: Tensor) -> States:
    """States of our encoder; in evaluation mode, so that no layer is dropped."""
    entered: list[Tensor] = []
    handle = encoder.encoder.layers[0].register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    try:
        result = encoder(wave, mask=False, features_only=True)
    finally:
        handle.remove()
    first = entered[0][:, : result["x"].shape[1]]
    return States([first, *(layer.output for layer in result["layer_results"])], result["x"])


@torch.inference_mode()
def hf_states(model: Any, wave: Tensor) -> States:
    """States of a model of transformers, whose last layer is read before the final norm in every version.

    Raises:
        ValueError: if it does not return L + 1 hidden states.
    """
    left: list[Tensor] = []

    def keep(_: Any, __: Any, output: Any) -> None:
        left.append(output[0] if isinstance(output, tuple) else output)

    handle = model.encoder.layers[-1].register_forward_hook(keep)
    try:
        result = model(wave, output_hidden_states=True)
    finally:
        handle.remove()
    states, expected = result.hidden_states, len(model.encoder.layers) + 1
    if states is None or len(states) != expected:
        raise ValueError(f"transformers returned {len(states or [])} hidden states, expected {expected}.")
    # Before version 5, transformers' own last state of pre-norm models is the normed one.
    if not any(torch.equal(states[-1], last) for last in (left[0], result.last_hidden_state)):
        raise ValueError("transformers' last hidden state is neither the last layer's output nor the final output.")
    return States([*states[:-1], left[0]], result.last_hidden_state)


def differences(expected: Sequence[Tensor], found: Sequence[Tensor]) -> list[float]:
    """The largest difference of each pair of tensors, relative to the largest expected absolute value."""
    return [
        float((want - got).abs().max() / want.abs().max().clamp_min(1e-12)) if want.shape == got.shape else float("inf")
        for want, got in zip(expected, found, strict=True)
    ]


def check_differences(found: Sequence[float], names: Sequence[str], what: str) -> float:
    """The largest difference.

    Raises:
        ValueError: names the first state whose difference exceeds the tolerance or is NaN.
    """
    for name, difference in zip(names, found, strict=True):
        if not difference <= TOLERANCE:
            raise ValueError(
                f"{what}: {name} differs from the checkpoint by {difference:.1e} of its scale, at most {TOLERANCE:.0e} "
                f"is allowed. Nothing was written; please report this."
            )
    return max(found)


def compare(encoder: MERTModel, model: Any, sample_rate: int, normalised: bool, what: str) -> float:
    """The largest difference between two encoders over all states of all test waves; an error above the tolerance."""
    worst = [0.0]
    for wave in comparison_waves(sample_rate, normalised):
        expected = fairseq_states(encoder, wave)
        names = [*(f"layer {index}" for index in range(len(expected.layers))), "the output"]
        worst.append(check_differences(differences(expected.all, hf_states(model, wave).all), names, what))
    return max(worst)
