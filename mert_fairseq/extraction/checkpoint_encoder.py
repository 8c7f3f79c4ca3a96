"""A pretrained MERT as an ``Encoder``: from a checkpoint of fairseq, or from a folder of ``mert-export-hf``."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mert_fairseq.extraction import cpu_speed
from mert_fairseq.extraction.frozen_encoder import Encoder, digest_of
from mert_fairseq.frames import WAV2VEC2_LAYERS, parse_conv_layers, receptive_field
from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.pretrained import Pretrained, build_encoder, load_encoder, read_pretrained
from mert_fairseq.modules.waveform import standardised


class PretrainedEncoder(Encoder):
    """The encoder of the model ``mert``, without the heads of its pretraining.

    Args:
        model: the encoder.
        pretrained: its configuration.
        name: where it was loaded from.
        digest: SHA-256 of its weights.
        device: where it runs.
    """

    def __init__(self, model: MERTModel, pretrained: Pretrained, name: str, digest: str, device: torch.device) -> None:
        self.model = model.eval().to(device)
        if device.type == "cpu":
            cpu_speed.speed_up(self.model)
        self.name = name
        self.sample_rate = pretrained.sample_rate
        self.hop_samples = model.hop_samples
        conv_layers = str(pretrained.options.get("conv_feature_layers", WAV2VEC2_LAYERS))
        self.receptive_samples = receptive_field(parse_conv_layers(conv_layers))
        self.num_layers = len(model.encoder.layers) + 1
        self.width = model.encoder.embedding_dim
        self.digest = digest
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


def load_checkpoint(path: Path, device: torch.device) -> PretrainedEncoder:
    """Load the .pt file that fairseq saved.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is damaged, or a checkpoint of another model, such as a genre classifier.
    """
    pretrained, weights = read_pretrained(path)
    model = build_encoder(pretrained)
    load_encoder(model, weights, path)
    return PretrainedEncoder(model, pretrained, str(path), digest_of([path]), device)


def load_exported(folder: Path, name: str, device: torch.device) -> PretrainedEncoder:
    """Load a folder of ``mert-export-hf --layout mert`` as our own model; the model file in the folder is not run.

    Args:
        folder: with fairseq.json and model.safetensors.
        name: for messages.
        device: where the model runs.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is damaged, or the weights do not fit the options.
    """
    from mert_fairseq.extraction import model_folder as files  # needs safetensors, of the extra [hf]
    from mert_fairseq.extraction.hugging_face_encoder import weight_files
    from mert_fairseq.extraction.weight_names import from_hf

    training = files.read_training(folder)
    if training is None:
        raise FileNotFoundError(
            f"{name}: found no {files.TRAINING}, which holds the options of this model. Export the checkpoint again."
        )
    task = training["task"]
    pretrained = Pretrained(training["model"], int(task["sample_rate"]), bool(task.get("normalize", False)))
    model = build_encoder(pretrained)
    load_encoder(model, from_hf(files.read_weights(folder), model.state_dict(), name), name)
    return PretrainedEncoder(model, pretrained, name, digest_of(weight_files(folder)), device)
