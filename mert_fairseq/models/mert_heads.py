"""The prediction heads of MERT; a base class of the model, so that parameters keep their published names."""

from collections.abc import Sequence
from typing import Any

import torch
from fairseq.models import BaseFairseqModel
from torch import Tensor, nn

from mert_fairseq.checkpointing import safe_loading
from mert_fairseq.models import build
from mert_fairseq.models.mert_config import MERTConfig
from mert_fairseq.modules import heads, masking
from mert_fairseq.modules.batch import FramePadding

# Shape letters: B batch, T samples, F frames, D model width, Q codebooks, V a codebook's entries, S masked frames.


class MERTHeads(BaseFairseqModel):
    """The heads on the encoder's output: codes by cosine similarity, spectra by regression."""

    def _build_heads(self, cfg: MERTConfig, sample_rate: int, num_classes: Sequence[int]) -> None:
        """Build the heads; call once, after the encoder, so that weights are initialised in the published order."""
        self.num_classes = list(num_classes)
        self.skip_masked, self.skip_nomask = cfg.skip_masked, cfg.skip_nomask
        self.random_codebook = cfg.random_codebook
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
        self.logit_temp_list: Any = None
        if cfg.learnable_temp:
            self.logit_temp_list = nn.Parameter(torch.full((codebooks,), 1 / cfg.learnable_temp_init).log())
        self.encoder_cqt_model, self.encoder_mel_model = build.spectrum_heads(cfg, sample_rate, self.hop_samples)

    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> None:
        """Remove the CQT kernels that published checkpoints contain, and join temperatures that were saved separately.

        Any other unknown key stays and is an error on load.
        """
        super().upgrade_state_dict_named(state_dict, name)
        safe_loading.drop_stored_cqt_kernels(state_dict)
        separate = [f"logit_temp_list.{q}" for q in range(len(self.num_classes))]
        if all(key in state_dict for key in separate):
            state_dict["logit_temp_list"] = torch.stack([state_dict.pop(key) for key in separate])

    def _predictions(
        self, wave: Tensor, x: Tensor, targets: Tensor, masked: masking.MaskedFrames, padding: FramePadding | None
    ) -> dict[str, Any]:
        """Apply the heads to the encoder's output; the keys are those of ``forward``."""
        codebooks = self._sample_codebooks()
        frames_SD = masked.select(x)
        result: dict[str, Any] = {"masked": [], "unmasked": []}
        if not self.skip_masked:
            result["masked"] = self._predict(frames_SD, masked.select(targets, first_axis=1), codebooks)
        if not self.skip_nomask:
            others = masking.MaskedFrames.from_mask(~masked.mask, padding)
            result["unmasked"] = self._predict(others.select(x), others.select(targets, first_axis=1), codebooks)
        for name, head in (("cqt_pred_m", self.encoder_cqt_model), ("mel_pred_m", self.encoder_mel_model)):
            if head is not None:
                result[name] = head.loss(frames_SD, masked.select(head.target(wave, x.size(1))))
        return result

    def _sample_codebooks(self) -> list[int]:
        """The codebooks of this step: all, or in training a random sample with replacement."""
        if self.random_codebook > 0 and self.training:
            return torch.randint(len(self.num_classes), (self.random_codebook,)).tolist()
        return list(range(len(self.num_classes)))

    def _predict(self, frames_SD: Tensor, targets_QS: Tensor, codebooks: Sequence[int]) -> heads.CodePredictions:
        """Predictions for the selected frames and the codebooks of this step."""
        codes = self._codes()
        frames_QSD = heads.unit_vectors(self._project(frames_SD, codebooks))
        logits = heads.codebook_logits(frames_QSD, [codes[codebook] for codebook in codebooks])
        if list(codebooks) != list(range(len(targets_QS))):
            targets_QS = torch.stack([targets_QS[codebook] for codebook in codebooks])
        return heads.CodePredictions(codebooks, logits, targets_QS.long())

    def _project(self, frames_SD: Tensor, codebooks: Sequence[int]) -> Tensor:
        """Project frames for each codebook, (Q, S, D)."""
        if self.final_projs is not None:
            return torch.stack([self.final_projs[codebook](frames_SD) for codebook in codebooks])
        projected = self.final_proj(frames_SD)
        if not self.untied:
            return projected.expand(len(codebooks), *projected.shape)
        split_QSD = projected.view(len(projected), len(self.num_classes), -1).transpose(0, 1)
        return split_QSD if len(codebooks) == len(self.num_classes) else split_QSD[list(codebooks)]

    def _codes(self) -> Sequence[Tensor]:
        """The codes of each codebook, (V, D) float32: unit vectors divided by the temperature."""
        entries = self.label_embs_concat if self.target_glu is None else self.target_glu(self.label_embs_concat)
        units = heads.unit_vectors(entries)
        if self.logit_temp_list is None:
            return (units * self.logit_scale).split(self.num_classes)
        scales = self.logit_temp_list.float().exp().clamp(max=self.logit_scale_max)
        return [unit * scale for unit, scale in zip(units.split(self.num_classes), scales, strict=True)]

    def get_logits(self, net_output: dict[str, Any], is_masked: bool = True) -> list[Tensor]:
        """For fairseq's ``hubert`` criterion: logits (S, V) per codebook, whose first column is the target's."""
        return [heads.target_first(prediction) for prediction in net_output["masked" if is_masked else "unmasked"]]

    def get_targets(self, net_output: dict[str, Any], is_masked: bool = True) -> list[Tensor]:
        """For fairseq's ``hubert`` criterion: zeros (S,) per codebook."""
        return [torch.zeros_like(p.targets) for p in net_output["masked" if is_masked else "unmasked"]]

    def get_extra_losses(self, net_output: dict[str, Any]) -> tuple[Sequence[Tensor], Sequence[str]]:
        """The other loss terms and their names, in the order of the ``hubert`` criterion's ``loss_weights``."""
        names = [name for name in ("features_pen", "cqt_pred_m", "mel_pred_m") if name in net_output]
        return [net_output[name] for name in names], names

    def remove_pretraining_modules(self) -> None:
        """Remove the modules that only the pretraining loss uses."""
        self.final_proj = self.final_projs = self.target_glu = self.logit_temp_list = None
        self.encoder_cqt_model = self.encoder_mel_model = self.label_embs_concat = None
