"""A pretrained MERT from a checkpoint of fairseq, as an ``Encoder``."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mert_fairseq.extraction.frozen_encoder import Encoder, digest_of
from mert_fairseq.frames import WAV2VEC2_LAYERS, parse_conv_layers, receptive_field
from mert_fairseq.models.pretrained import build_encoder, load_encoder, read_pretrained
from mert_fairseq.modules.waveform import standardised


class CheckpointEncoder(Encoder):
    """The encoder of a checkpoint of the model ``mert``, without the heads of its pretraining.

    Args:
        path: the .pt file that fairseq saved.
        device: where the model runs.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is damaged, or a checkpoint of another model, such as a genre classifier.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        pretrained, weights = read_pretrained(path)
        model = build_encoder(pretrained)
        load_encoder(model, weights, path)
        self.model = model.eval().to(device)
        self.name = str(path)
        self.sample_rate = pretrained.sample_rate
        self.hop_samples = model.hop_samples
        conv_layers = str(pretrained.options.get("conv_feature_layers", WAV2VEC2_LAYERS))
        self.receptive_samples = receptive_field(parse_conv_layers(conv_layers))
        self.num_layers = len(model.encoder.layers) + 1
        self.width = model.encoder.embedding_dim
        self.digest = digest_of([path])
        self.device = device
        self.normalizes = pretrained.normalize

    def _states(self, waves: Tensor, highest: int) -> Sequence[Tensor]:
        if self.normalizes:
            waves = standardised(waves)
        entered: list[Tensor] = []
        hook = self.model.encoder.layers[0].register_forward_pre_hook(lambda layer, args: entered.append(args[0]))
        try:
            output_layer = None if highest == self.num_layers - 1 else max(1, highest)
            result = self.model(waves, mask=False, features_only=True, output_layer=output_layer)
        finally:
            hook.remove()
        between = [layer.output for layer in result["layer_results"][:-1]]
        return [entered[0], *between, result["x"]]
