"""The fairseq model ``mert_genre``: a genre classifier on top of a pretrained MERT."""

from dataclasses import dataclass
from typing import Any

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model
from torch import Tensor, nn

from mert_fairseq.genre.audio.pooling import WeightedLayerSum, build_pooling
from mert_fairseq.models.pretrained import Pretrained, build_encoder, load_encoder, read_pretrained
from mert_fairseq.modules.waveform import float_wave, standardised
from mert_fairseq.optimizers.layerwise_adam import set_lr_scale
from mert_fairseq.options import option


@dataclass
class MERTGenreConfig(FairseqDataclass):
    """Options of the model ``mert_genre``."""

    checkpoint: str = option(
        "", "checkpoint of the pretrained MERT (config/pretrain); needed to start training, not to load a trained model"
    )
    finetune_layers: int = option(-1, "number of top layers to train with the head; 0: none, -1: all of MERT")
    pooling: str = option("attention", "pooling over the frames of a clip: attention (learnt) or mean")
    head_dim: int = option(0, "width of the hidden layer in the head; 0 for a linear head, the fairest probe")
    head_dropout: float = option(0.1, "dropout at the input of the head")
    encoder_lr_scale: float = option(
        0.1, "learning rate of MERT's top layer, relative to the head, which is trained from scratch"
    )
    layer_lr_decay: float = option(
        0.9, "learning rate of each layer, relative to the layer above it; lower layers are more general"
    )


def check_config(cfg: MERTGenreConfig, layers: int) -> None:
    """Check the options.

    Args:
        cfg: the options.
        layers: number of encoder layers.

    Raises:
        ValueError: if an option is out of range.
    """
    if not -1 <= cfg.finetune_layers <= layers:
        raise ValueError(
            f"model.finetune_layers is {cfg.finetune_layers}, expected 0 (frozen) to {layers} (all Transformer "
            f"layers), or -1 (the conv stack too)."
        )
    if not 0 <= cfg.head_dropout < 1 or cfg.head_dim < 0:
        raise ValueError(
            f"model.head_dropout is {cfg.head_dropout} and model.head_dim {cfg.head_dim}, expected a share from 0 to "
            f"below 1, and a width of at least 0."
        )
    if cfg.encoder_lr_scale <= 0 or not 0 < cfg.layer_lr_decay <= 1:
        raise ValueError(
            f"model.encoder_lr_scale is {cfg.encoder_lr_scale} and model.layer_lr_decay {cfg.layer_lr_decay}, expected "
            f"a factor above 0, and one above 0 and at most 1. To freeze MERT, set model.finetune_layers: 0."
        )


# Shape letters: C clips, T samples, F frames, D model width, B tracks, G genres.


@register_model("mert_genre", dataclass=MERTGenreConfig)
class MERTGenreModel(BaseFairseqModel):
    """MERT, a learnt weighted sum of its layers, pooling over frames, and a head. Logits are averaged over clips.

    Frozen parts stay in evaluation mode while the rest trains: without dropout and without updates of statistics.

    Args:
        cfg: the options.
        pretrained: configuration of the encoder.
        genres: G, number of classes.

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(self, cfg: MERTGenreConfig, pretrained: Pretrained, genres: int) -> None:
        super().__init__()
        self.mert = build_encoder(pretrained)
        layers, width = len(self.mert.encoder.layers), self.mert.encoder.embedding_dim
        check_config(cfg, layers)
        self.normalize = pretrained.normalize
        self.finetune_layers = cfg.finetune_layers
        self.layer_mixture = WeightedLayerSum(layers + 1)
        self.pooling = build_pooling(cfg.pooling, width)
        hidden = [nn.Linear(width, cfg.head_dim), nn.GELU(), nn.Dropout(cfg.head_dropout)] if cfg.head_dim else []
        self.head = nn.Sequential(
            nn.Dropout(cfg.head_dropout), *hidden, nn.Linear(cfg.head_dim if cfg.head_dim else width, genres)
        )
        self._freeze()
        for depth, part in enumerate(self._by_depth()):
            set_lr_scale(part, cfg.encoder_lr_scale * cfg.layer_lr_decay ** (layers - depth))

    @classmethod
    def build_model(cls, cfg: MERTGenreConfig, task: Any) -> "MERTGenreModel":
        """Build the model from a pretrained checkpoint, or from the task's state when fairseq loads a trained model.

        The encoder's configuration is stored in the task's state, and so in every checkpoint.

        Raises:
            ValueError: if a pretrained checkpoint is needed but not given, or has another sample rate.
        """
        genres, state = len(task.vocabulary), task.state.state_dict
        if "pretrained" in state:
            return cls(cfg, Pretrained(**state["pretrained"]), genres)
        if not cfg.checkpoint:
            raise ValueError("model.checkpoint is empty, expected the checkpoint of a pretrained MERT.")
        pretrained, weights = read_pretrained(cfg.checkpoint)
        if pretrained.sample_rate != task.cfg.sample_rate:
            raise ValueError(
                f"{cfg.checkpoint}: was trained at {pretrained.sample_rate} Hz, but task.sample_rate is "
                f"{task.cfg.sample_rate} Hz. Set it to {pretrained.sample_rate} and use audio of that rate."
            )
        state["pretrained"] = pretrained._asdict()
        model = cls(cfg, pretrained, genres)
        load_encoder(model.mert, weights, cfg.checkpoint)
        return model

    def _by_depth(self) -> list[list[nn.Parameter]]:
        """The encoder's parameters from bottom to top: all below the layers, then each layer."""
        encoder = self.mert.encoder
        layers = [list(layer.parameters()) for layer in encoder.layers]
        if encoder.norm_first:
            layers[-1] += encoder.layer_norm.parameters()
        in_layers = {id(parameter) for layer in layers for parameter in layer}
        return [[parameter for parameter in self.mert.parameters() if id(parameter) not in in_layers], *layers]

    def _freeze(self) -> None:
        if self.finetune_layers >= 0:
            by_depth = self._by_depth()
            for part in by_depth[: len(by_depth) - self.finetune_layers]:
                for parameter in part:
                    parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> "MERTGenreModel":
        """Set training mode, except for frozen parts."""
        super().train(mode)
        if self.finetune_layers >= 0:
            self.mert.eval()
            layers = self.mert.encoder.layers
            for layer in layers[len(layers) - self.finetune_layers :]:
                layer.train(mode)
        return self

    def forward(
        self, source: Tensor, padding_mask: Tensor | None = None, clips_per_track: Tensor | None = None
    ) -> Tensor:
        """Compute the logits of the genres.

        Args:
            source: (C, T), int16 PCM or float in [-1, 1], at the rate that MERT was trained at.
            padding_mask: (C, T) bool, True for padding; None without padding.
            clips_per_track: (B,) int64, number of consecutive clips of each track; None for one clip each.

        Returns:
            (B, G), averaged over the clips of each track.
        """
        logits = self.head(self.embed(source, padding_mask))
        if clips_per_track is None:
            return logits
        return torch.stack([clips.mean(0) for clips in logits.split(clips_per_track.tolist())])

    def embed(self, source: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """One vector per clip, (C, D). Arguments as in ``forward``."""
        if self.normalize:
            source = standardised(float_wave(source), padding_mask)
        result = self.mert(source, padding_mask=padding_mask, mask=False, features_only=True)
        # The last layer's output as MERT returns it: in pre-norm models after the final norm.
        layers = [result["features"], *(layer.output for layer in result["layer_results"][:-1]), result["x"]]
        return self.pooling(self.layer_mixture(layers), result["padding_mask"])
