"""mert-export-onnx: chosen layers of a MERT as an ONNX graph for any batch and length, checked with onnxruntime."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from mert_fairseq.extraction.weight_names import to_hf
from mert_fairseq.files import replacing
from mert_fairseq.frames import parse_conv_layers, receptive_field
from mert_fairseq.hf.compare_states import check_differences, comparison_waves, differences, fairseq_states
from mert_fairseq.hf.config import frame_rate_hz, hf_config, obstacles
from mert_fairseq.hf.export import model_config
from mert_fairseq.hf.pretraining import Pretraining, read_pretraining
from mert_fairseq.hf.remote.configuration_mert import MERTEncoderConfig
from mert_fairseq.hf.remote.modeling_mert import MERTEncoderModel
from mert_fairseq.models.mert_config import MERTConfig

INPUT = "wave"
OPSET = 18
NORM_EPSILON = 1e-5  # of torch's layer_norm, which fairseq normalises waves with
EXAMPLE_SECONDS = 1


class ExportedONNX(NamedTuple):
    """Result of an export."""

    file: Path
    layers: list[int]
    megabytes: float
    seconds: float
    largest_difference: float  # relative to a layer's scale


class LayerGraph(nn.Module):
    """The part of the model that the graph computes: from waves to the chosen layers, nothing above the highest.

    Layer 0 is what enters the first Transformer layer, layer i the output of layer i, and the last one is after the
    final norm of pre-norm models.
    """

    def __init__(self, model: MERTEncoderModel, layers: Sequence[int], normalised: bool) -> None:
        super().__init__()
        self.chosen, self.normalised = list(layers), normalised
        self.last = len(model.encoder.layers)
        self.model = model
        model.encoder.layers = model.encoder.layers[: max(layers)]
        conv = getattr(model.encoder.pos_conv_embed, "conv", None)
        if conv is not None:  # one weight instead of direction and magnitude
            parametrize.remove_parametrizations(conv, "weight")

    def forward(self, wave: Tensor) -> tuple[Tensor, ...]:
        """(B, T) in [-1, 1] -> one (B, F, D) per chosen layer."""
        if self.normalised:
            centred = wave - wave.mean(1, keepdim=True)
            wave = centred / (centred.pow(2).mean(1, keepdim=True) + NORM_EPSILON).sqrt()
        features = self.model.feature_projection(self.model.front_end_frames(wave))
        output, states = self.model.encoder(features, None)
        return tuple(output if layer == self.last else states[layer] for layer in self.chosen)


def export_onnx(checkpoint: str | Path, out: str | Path, layers: Sequence[int] | None) -> ExportedONNX:
    """Write an ONNX file; its layers in onnxruntime are compared with the checkpoint before it gets its name.

    Args:
        checkpoint: of the task mert_pretraining.
        out: the new file.
        layers: 0 to the number of layers; None for all.

    Raises:
        FileNotFoundError, FileExistsError: if the checkpoint is missing or the file exists.
        ValueError: if a layer does not exist, the graph cannot hold the model, or values differ.
    """
    started, out = time.monotonic(), Path(out)
    if out.exists():
        raise FileExistsError(f"{out}: exists already. Give the name of a new file.")
    source = read_pretraining(checkpoint)
    cfg = model_config(source)
    chosen = _check_layers(layers, cfg.encoder_layers, checkpoint)
    _refuse(cfg, checkpoint)
    encoder = source.build(checkpoint)
    # Waves before normalisation: the graph normalises where the training did.
    waves = comparison_waves(source.encoder.sample_rate, normalised=False)
    expected = [_chosen_states(encoder, wave, chosen, source.encoder.normalize) for wave in waves]
    del encoder
    graph = _graph(source, cfg, chosen)
    with replacing(out) as partial:
        _write(graph, partial, source, cfg)
        largest = _check(partial, waves, expected, chosen, str(checkpoint))
    return ExportedONNX(out, chosen, out.stat().st_size / 1e6, time.monotonic() - started, largest)


def _check_layers(layers: Sequence[int] | None, highest: int, checkpoint: str | Path) -> list[int]:
    chosen = sorted(set(range(highest + 1) if layers is None else layers))
    if wrong := [layer for layer in chosen if not 0 <= layer <= highest]:
        raise ValueError(f"{checkpoint}: has no layer {wrong[0]}, expected 0 to {highest}.")
    return chosen


def _refuse(cfg: MERTConfig, checkpoint: str | Path) -> None:
    if found := obstacles(cfg, "mert"):
        raise ValueError(f"{checkpoint}: the ONNX graph cannot hold {'; '.join(found)}. Use the checkpoint itself.")


def _chosen_states(encoder: Any, wave: Tensor, layers: Sequence[int], normalised: bool) -> list[Tensor]:
    if normalised:
        wave = torch.nn.functional.layer_norm(wave, wave.shape[1:], eps=NORM_EPSILON)
    found = fairseq_states(encoder, wave)
    states = [*found.layers[:-1], found.output]
    return [states[layer] for layer in layers]


def _graph(source: Pretraining, cfg: MERTConfig, layers: Sequence[int]) -> LayerGraph:
    config = MERTEncoderConfig.from_dict(hf_config(cfg, source.encoder.sample_rate, "mert"))
    model = MERTEncoderModel(config)
    model.load_state_dict({name: weight.float() for name, weight in to_hf(source.weights).items()})
    return LayerGraph(model.eval(), layers, source.encoder.normalize or cfg.wav_normalize).eval()


def _write(graph: LayerGraph, path: Path, source: Pretraining, cfg: MERTConfig) -> None:
    """Export with free batch size and length; sample rate, frame rate and shortest wave go into the file's metadata."""
    shortest = receptive_field(parse_conv_layers(cfg.conv_feature_layers))
    example = torch.zeros(2, EXAMPLE_SECONDS * source.encoder.sample_rate)
    graph(example)  # makes the kernels of the spectra before the graph is traced
    program: Any = torch.onnx.export(
        graph,
        (example,),
        dynamo=True,
        dynamic_shapes={INPUT: {0: torch.export.Dim("batch"), 1: torch.export.Dim("samples", min=shortest)}},
        input_names=[INPUT],
        output_names=[f"layer_{layer}" for layer in graph.chosen],
        opset_version=OPSET,
        verbose=False,
    )
    for output in program.model.graph.outputs:
        output.shape[1] = "frames"
    program.model.metadata_props.update(
        {
            "sample_rate": str(source.encoder.sample_rate),
            "frame_rate_hz": f"{frame_rate_hz(cfg.conv_feature_layers, source.encoder.sample_rate):g}",
            "shortest_samples": str(shortest),
        }
    )
    program.save(path, external_data=False)


def _check(path: Path, waves: Sequence[Tensor], expected: list[list[Tensor]], layers: list[int], what: str) -> float:
    """The largest difference; the graph is run with batch sizes and lengths that differ from those of the export."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    worst = 0.0
    for wave, states in zip(waves, expected, strict=True):
        for clips in (slice(None), slice(0, 1)):
            found = session.run(None, {INPUT: wave[clips].numpy()})
            pairs = differences([state[clips] for state in states], [torch.from_numpy(each) for each in found])
            names = [f"layer {layer}" for layer in layers]
            worst = max(worst, check_differences(pairs, names, f"{what} in onnxruntime"))
    return worst
