"""A genre classifier on a pretrained MERT, as the fairseq model ``mert_genre``."""

from typing import Any

import torch
from fairseq.models import BaseFairseqModel, register_model
from torch import Tensor, nn

from mert_fairseq.genre.audio.model_config import MERTGenreConfig, check_config
from mert_fairseq.genre.audio.pooling import WeightedLayerSum, build_pooling
from mert_fairseq.models.pretrained import Pretrained, build_encoder, load_encoder, read_pretrained
from mert_fairseq.modules.waveform import float_wave, standardised
from mert_fairseq.optimizers.layerwise_adam import set_lr_scale

# Shape letters: C clips, T samples, F frames, D model width, B tracks, G genres.


@register_model("mert_genre", dataclass=MERTGenreConfig)
class MERTGenreModel(BaseFairseqModel):
    """MERT, a learnt mixture of its layers, a pooling over frames, a head; clips of a track are averaged.

    What is frozen is also in evaluation mode while the rest trains: no dropout there, no statistics kept.

    Args:
        cfg: the options.
        pretrained: what the encoder is.
        genres: G, classes.

    Raises:
        ValueError: if an option cannot be.
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
        """fairseq's way to make a model, from a pretrained checkpoint or, to load a checkpoint of its own, without.

        What the encoder is goes into the task's state, and thus into every checkpoint.

        Raises:
            ValueError: if no checkpoint is given where one is needed, or it was trained at another sample rate.
        """
        genres, state = len(task.vocabulary), task.state.state_dict
        if "pretrained" in state:
            return cls(cfg, Pretrained(**state["pretrained"]), genres)
        if not cfg.checkpoint:
            raise ValueError("model.checkpoint is empty, expected the checkpoint of a pretrained MERT to start from.")
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
        """The encoder's parameters: what lies below the layers, then layer by layer."""
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
        """Training mode, but for what is frozen."""
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
        """Logits of the genres.

        Args:
            source: (C, T), int16 PCM or float in [-1, 1], at the rate that MERT was trained at.
            padding_mask: (C, T) bool, True where a clip has ended; None if none has.
            clips_per_track: (B,) int64, how many of the clips, in turn, belong to each track; None for one each.

        Returns:
            (B, G): the mean of a track's clips.
        """
        logits = self.head(self.embed(source, padding_mask))
        if clips_per_track is None:
            return logits
        return torch.stack([clips.mean(0) for clips in logits.split(clips_per_track.tolist())])

    def embed(self, source: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """One vector a clip, (C, D); arguments as in ``forward``."""
        if self.normalize:
            source = standardised(float_wave(source), padding_mask)
        result = self.mert(source, padding_mask=padding_mask, mask=False, features_only=True)
        # The last layer's output as MERT gives it: of pre-norm models with their last norm.
        layers = [result["features"], *(layer.output for layer in result["layer_results"][:-1]), result["x"]]
        return self.pooling(self.layer_mixture(layers), result["padding_mask"])
