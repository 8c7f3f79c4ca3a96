"""MERT: masked prediction of music from raw audio (arXiv:2306.00107), as the fairseq model ``mert``."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from fairseq.models import BaseFairseqModel, register_model
from fairseq.models.wav2vec.wav2vec2 import ConvFeatureExtractionModel
from fairseq.modules import GradMultiply
from torch import Tensor, nn

from mert_fairseq import frames
from mert_fairseq.checkpointing import safe_loading as checkpoint
from mert_fairseq.models import build
from mert_fairseq.models.mert_config import MERTConfig, check_config
from mert_fairseq.modules import clip_rng as draws
from mert_fairseq.modules import heads, masking
from mert_fairseq.modules.waveform import float_wave, standardised

logger = logging.getLogger(__name__)

# Shape letters: B batch, T samples, C conv channels, F frames, D model width, Q codebooks, L labels, S masked frames.


@register_model("mert", dataclass=MERTConfig)
class MERTModel(BaseFairseqModel):
    """Conv stack, Transformer, and heads on the masked frames; parameters named as in the published checkpoints.

    Args:
        cfg: the options.
        sample_rate: of the wave, in Hz.
        num_classes: entries of each codebook's dictionary, with fairseq's 4 special symbols.

    Raises:
        ValueError: if an option is unsupported or does not fit the others.
    """

    def __init__(self, cfg: MERTConfig, sample_rate: int, num_classes: Sequence[int]) -> None:
        super().__init__()
        check_config(cfg)
        if cfg.chunk_nce_cal > 0:
            logger.info("chunk_nce_cal is ignored: the loss is one matrix product and needs no chunks")
        conv_layers = frames.parse_conv_layers(cfg.conv_feature_layers)
        self.hop_samples = frames.conv_stride(conv_layers)
        self.targets_per_frame = cfg.label_rate * self.hop_samples / sample_rate
        self.num_classes = list(num_classes)
        self.skip_masked, self.skip_nomask = cfg.skip_masked, cfg.skip_nomask
        self.wav_normalize = cfg.wav_normalize
        self.feature_grad_mult = cfg.feature_grad_mult
        self.random_codebook = cfg.random_codebook
        self.mixture = build.mixture(cfg)
        self.frame_law, self.channel_law, self.filling = build.masking_laws(cfg)

        width, channels = cfg.encoder_embed_dim, conv_layers[-1].channels
        self.feature_extractor = ConvFeatureExtractionModel(
            conv_layers=conv_layers, mode=str(cfg.extractor_mode), conv_bias=cfg.conv_bias
        )
        self.feature_cqt = build.feature_cqt(cfg, sample_rate, self.hop_samples)
        if self.feature_cqt is not None:
            channels += cfg.feature_extractor_cqt_bins
        stable = cfg.do_cnn_feat_stable_layernorm
        self.layer_norm = nn.LayerNorm(channels, elementwise_affine=not stable)
        self.post_extract_proj = nn.Linear(channels, width) if channels != width else None
        self.post_extract_norm = nn.LayerNorm(width) if stable else None
        self.dropout_input = nn.Dropout(cfg.dropout_input)
        self.mask_emb = nn.Parameter(torch.empty(width).uniform_())
        self.encoder = build.encoder(cfg)
        self._build_heads(cfg, sample_rate)
        self.num_updates = 0
        if cfg.pretrained_weights:
            checkpoint.load_feature_extractor(self.feature_extractor, cfg.pretrained_weights)

    def _build_heads(self, cfg: MERTConfig, sample_rate: int) -> None:
        width, codebooks = cfg.encoder_embed_dim, len(self.num_classes)
        code_width = cfg.final_dim if cfg.final_dim > 0 else width
        self.untied = cfg.untie_final_proj
        self.final_proj: Any = None
        self.final_projs: Any = None
        if self.untied and self.random_codebook > 0:
            self.final_projs = nn.ModuleList(nn.Linear(width, code_width) for _ in self.num_classes)
        else:
            self.final_proj = nn.Linear(width, code_width * (codebooks if self.untied else 1))
        self.label_embs_concat: Any = nn.Parameter(torch.empty(sum(self.num_classes), code_width).uniform_())
        self.target_glu = nn.Sequential(nn.Linear(code_width, 2 * code_width), nn.GLU()) if cfg.target_glu else None
        self.logit_scale = 1 / cfg.logit_temp
        self.logit_scale_max = cfg.learnable_temp_max
        self.logit_temp_list = (
            nn.ParameterList(torch.tensor(1 / cfg.learnable_temp_init).log() for _ in self.num_classes)
            if cfg.learnable_temp
            else None
        )
        self.encoder_cqt_model, self.encoder_mel_model = build.regressions(cfg, sample_rate, self.hop_samples)

    @classmethod
    def build_model(cls, cfg: MERTConfig, task: Any) -> "MERTModel":
        """fairseq's way to make a model: the sample rate comes from the task, dictionaries give the classes.

        Raises:
            ValueError: if the label rates of model and task differ, so that frames would get other frames' labels.
        """
        if cfg.label_rate != task.cfg.label_rate:
            raise ValueError(
                f"model.label_rate is {cfg.label_rate:g} Hz, but the task's labels come at {task.cfg.label_rate:g} Hz "
                f"(task.label_rate). Leave model.label_rate unset, or set it to ${{task.label_rate}}."
            )
        return cls(cfg, task.cfg.sample_rate, [len(dictionary) for dictionary in task.dictionaries])

    def set_num_updates(self, num_updates: int) -> None:
        """Where the run stands; fairseq calls it before each update, also after a resume."""
        super().set_num_updates(num_updates)
        self.num_updates = num_updates

    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> None:
        """Drop the CQT kernels that published checkpoints store; any other stray key stays and is an error on load."""
        super().upgrade_state_dict_named(state_dict, name)
        checkpoint.drop_stored_cqt_kernels(state_dict)

    def forward(
        self,
        source: Tensor,
        target_list: Sequence[Tensor] | Tensor | None = None,
        padding_mask: Tensor | None = None,
        mask: bool = True,
        features_only: bool = False,
        output_layer: int | None = None,
        mask_indices: Tensor | None = None,
        clip_seeds: draws.ClipSeeds | None = None,
    ) -> dict[str, Any]:
        """Encode a batch and predict its masked frames.

        Args:
            source: (B, T), int16 PCM or float in [-1, 1].
            target_list: Q tensors (B, L) of classes, or one (Q, B, L).
            padding_mask: (B, T) bool, True where a clip has ended; None if none has.
            mask: whether to mask frames.
            features_only: stop at the encoder's output.
            output_layer: 1-based; the output of this layer before any last norm; None for the last one, normed.
            mask_indices: (B, F) bool, the frames to mask, to replay a batch; drawn if None.
            clip_seeds: (B,) int64, what masks and mixtures are drawn from, in an array so that they are at hand without
                waiting for the device; torch's generator if None.

        Returns:
            with ``features_only``: x (B, F, D), padding_mask (B, F) or None, features (B, F, D), layer_results.
            Else: ``masked`` and ``unmasked``, lists of ``CodePrediction``; ``features_pen`` and, where built,
            ``cqt_pred_m`` and ``mel_pred_m``, scalars; padding_mask, mask_indices.

        Raises:
            ValueError: if there is no such layer, or nothing to predict.
        """
        wave = float_wave(source)
        heard = wave
        if self.training and not features_only:
            heard = self.mixture(wave, draws.clip_seeds_on_cpu(clip_seeds, wave.size(0)), padding_mask)
        features, features_pen, targets = self._features(heard, target_list)
        padded = None if padding_mask is None else masking.frame_padding(padding_mask, features.size(1))
        x, masked = features, None
        if mask:
            x, masked = self._mask(features, padded, mask_indices, clip_seeds)
        x, layer_results = self.encoder(x, padding_mask=padded, layer=self._layer_from_0(output_layer))
        if features_only:
            return {"x": x, "padding_mask": padded, "features": features, "layer_results": layer_results}
        if targets is None or masked is None:
            raise ValueError("MERT's loss needs target_list and masked frames; pass features_only=True for features.")
        result = {"padding_mask": padded, "mask_indices": masked.frames, "features_pen": features_pen}
        return result | self._predictions(wave, x, targets, masked, padded)

    def _layer_from_0(self, output_layer: int | None) -> int | None:
        layers = len(self.encoder.layers)
        if output_layer is None:
            return None
        if not 1 <= output_layer <= layers:
            raise ValueError(f"output_layer is {output_layer}, expected 1 to {layers}, or None for the last, normed.")
        return output_layer - 1

    def _features(
        self, wave: Tensor, target_list: Sequence[Tensor] | Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Projected conv features (B, F, D), their penalty, and the targets (Q, B, F) trimmed to them."""
        if self.wav_normalize:
            wave = standardised(wave)
        with torch.set_grad_enabled(self.feature_grad_mult > 0 and torch.is_grad_enabled()):
            features = self.feature_extractor(wave.to(self.mask_emb.dtype))
        if self.feature_grad_mult not in (0.0, 1.0):
            features = GradMultiply.apply(features, self.feature_grad_mult)
        targets = None
        if target_list is not None:
            labels = min(target.size(-1) for target in target_list)
            index = frames.paired_targets(features.size(2), labels, self.targets_per_frame)
            features = features[..., : len(index)]
            index_on_device = draws.to_device(index, features.device)
            targets = torch.stack([target[..., :labels].index_select(-1, index_on_device) for target in target_list])
        penalty = features.float().pow(2).mean()
        features = features.transpose(1, 2)
        if self.feature_cqt is not None:
            cqt = self.feature_cqt(wave)[:, : features.size(1)].to(features.dtype)
            features = torch.cat([features, cqt], dim=-1)
        features = self.layer_norm(features)
        if self.post_extract_proj is not None:
            features = self.post_extract_proj(features)
        if self.post_extract_norm is not None:
            features = self.post_extract_norm(features)
        return self.dropout_input(features), penalty, targets

    def _mask(
        self, features: Tensor, padded: Tensor | None, mask_indices: Tensor | None, clip_seeds: draws.ClipSeeds | None
    ) -> tuple[Tensor, masking.MaskedFrames]:
        """What the encoder gets, (B, F, D), and which frames are masked: drawn, unless ``mask_indices`` says."""
        seeds = draws.clip_seeds_on_cpu(clip_seeds, features.size(0))
        if mask_indices is None:
            masked = masking.MaskedFrames.drawn(features, padded, self.frame_law(self.num_updates), seeds)
        else:
            masked = masking.MaskedFrames.given(mask_indices, padded)
        x = masking.fill(features, masked.frames, self.mask_emb, self.filling, seeds)
        return masking.drop_channels(x, self.channel_law, seeds), masked

    def _predictions(
        self, wave: Tensor, x: Tensor, targets: Tensor, masked: masking.MaskedFrames, padded: Tensor | None
    ) -> dict[str, Any]:
        """What the heads make of the encoder's output, by the names of ``forward``."""
        codebooks = self._codebooks()
        frames_SD = masked.take(x)
        result: dict[str, Any] = {"masked": [], "unmasked": []}
        if not self.skip_masked:
            result["masked"] = self._predict(frames_SD, masked.take(targets, first_axis=1), codebooks)
        if not self.skip_nomask:
            others = masking.MaskedFrames.given(~masked.frames, padded)
            result["unmasked"] = self._predict(others.take(x), others.take(targets, first_axis=1), codebooks)
        for name, head in (("cqt_pred_m", self.encoder_cqt_model), ("mel_pred_m", self.encoder_mel_model)):
            if head is not None:
                result[name] = head.loss(frames_SD, masked.take(head.target(wave, x.size(1))))
        return result

    def _codebooks(self) -> list[int]:
        """The codebooks that this step predicts: all, or in training a random draw, with replacement."""
        if self.random_codebook > 0 and self.training:
            return torch.randint(len(self.num_classes), (self.random_codebook,)).tolist()
        return list(range(len(self.num_classes)))

    def _predict(self, frames_SD: Tensor, targets_QS: Tensor, codebooks: Sequence[int]) -> list[heads.CodePrediction]:
        """Predictions of some frames, one a codebook."""
        embeddings = self.label_embs_concat.split(self.num_classes)
        projected = self._project(frames_SD, codebooks)
        predictions = []
        for codebook, projected_SD in zip(codebooks, projected, strict=True):
            entries = embeddings[codebook]
            if self.target_glu is not None:
                entries = self.target_glu(entries)
            logits = heads.codebook_logits(projected_SD, entries, self._scale(codebook))
            predictions.append(heads.CodePrediction(codebook, logits, targets_QS[codebook].long()))
        return predictions

    def _project(self, frames_SD: Tensor, codebooks: Sequence[int]) -> list[Tensor]:
        if self.final_projs is not None:
            return [self.final_projs[codebook](frames_SD) for codebook in codebooks]
        projected = self.final_proj(frames_SD)
        if not self.untied:
            return [projected] * len(codebooks)
        chunks = projected.chunk(len(self.num_classes), dim=-1)
        return [chunks[codebook] for codebook in codebooks]

    def _scale(self, codebook: int) -> Tensor | float:
        if self.logit_temp_list is None:
            return self.logit_scale
        return self.logit_temp_list[codebook].float().exp().clamp(max=self.logit_scale_max)

    def extract_features(
        self,
        source: Tensor,
        padding_mask: Tensor | None = None,
        mask: bool = False,
        ret_conv: bool = False,
        output_layer: int | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Features of a layer, (B, F, D), and the frames' padding, (B, F) or None; arguments as in ``forward``.

        ``ret_conv`` gives the projected conv features in place of a layer's.
        """
        result = self.forward(
            source, padding_mask=padding_mask, mask=mask, features_only=True, output_layer=output_layer
        )
        return result["features" if ret_conv else "x"], result["padding_mask"]

    def get_logits(self, net_output: dict[str, Any], is_masked: bool = True) -> list[Tensor]:
        """For fairseq's ``hubert`` criterion: logits whose first column is the target's, one (S, V) a codebook."""
        return [heads.target_first(prediction) for prediction in net_output["masked" if is_masked else "unmasked"]]

    def get_targets(self, net_output: dict[str, Any], is_masked: bool = True) -> list[Tensor]:
        """For fairseq's ``hubert`` criterion: zeros, (S,) a codebook."""
        return [torch.zeros_like(p.targets) for p in net_output["masked" if is_masked else "unmasked"]]

    def get_extra_losses(self, net_output: dict[str, Any]) -> tuple[Sequence[Tensor], Sequence[str]]:
        """The terms beside the codes, and their names, in the order that ``loss_weights`` of ``hubert`` pairs them."""
        names = [name for name in ("features_pen", "cqt_pred_m", "mel_pred_m") if name in net_output]
        return [net_output[name] for name in names], names

    def remove_pretraining_modules(self) -> None:
        """Drop what only the pretraining loss uses."""
        self.final_proj = self.final_projs = self.target_glu = self.logit_temp_list = None
        self.encoder_cqt_model = self.encoder_mel_model = self.label_embs_concat = None
