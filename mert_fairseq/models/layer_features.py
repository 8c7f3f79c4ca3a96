"""What a layer of a pretrained MERT makes of a track, as features to cluster: the labels of a second iteration.

HuBERT's way (arXiv:2106.07447): the first iteration learns from clustered MFCC, the next from clusters of its features.
The Transformer looks both ways, so a long track is cut into windows of 20 s, of which 2.5 s at either end are context.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from fairseq.checkpoint_utils import load_model_ensemble_and_task
from torch import Tensor

from mert_fairseq.checkpointing.safe_loading import read_checkpoint
from mert_fairseq.frames import parse_conv_layers, receptive_field
from mert_fairseq.models.mert import MERTModel
from mert_fairseq.modules.waveform import standardised
from mert_fairseq.teachers.chunking import windows

KIND = "mert"
CORE_SECONDS = 15.0
CONTEXT_SECONDS = 2.5


class LoadedModel(NamedTuple):
    """What a checkpoint gives."""

    model: MERTModel  # on the CPU
    sample_rate: int  # in Hz
    normalised: bool  # whether it was trained on waves of mean 0 and variance 1
    receptive_samples: int  # that a frame of the conv stack sees


@dataclass(frozen=True)
class LayerFeatures:
    """A layer's output, one row a label.

    Args:
        checkpoint: the .pt file that fairseq saved.
        layer: from 1, the one after the conv features, to the model's number of layers.
        sha256: of the checkpoint; checked if it is given, else worked out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is another file than ``sha256`` says, no checkpoint of MERT, or has fewer layers.
    """

    checkpoint: str
    layer: int
    sha256: str = ""

    def __post_init__(self) -> None:
        path = Path(self.checkpoint).absolute()
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such checkpoint. Give the .pt file that fairseq saved (--checkpoint).")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if self.sha256 not in ("", found):
            raise ValueError(
                f"{path}: found SHA-256 {found}, expected {self.sha256}: the teacher was fitted on the features of "
                f"another checkpoint. Give that one (--checkpoint), or fit the teacher again."
            )
        object.__setattr__(self, "checkpoint", str(path))
        object.__setattr__(self, "sha256", found)
        layers = len(self._loaded.model.encoder.layers)
        if not 1 <= self.layer <= layers:
            raise ValueError(f"{path}: found {layers} layers, expected layer {self.layer}. Give --layer 1 to {layers}.")

    @property
    def settings(self) -> dict[str, Any]:
        """All that is needed to make the features again: ``features_of(settings)``."""
        return {"kind": KIND, **asdict(self)}

    @property
    def name(self) -> str:
        """For label names."""
        return f"{KIND}{self.layer}"

    @property
    def sample_rate(self) -> int:
        """Of the wave, in Hz."""
        return self._loaded.sample_rate

    @property
    def hop_samples(self) -> int:
        """Samples from one row to the next."""
        return self._loaded.model.hop_samples

    @property
    def label_rate_hz(self) -> float:
        """Rows a second."""
        return self.sample_rate / self.hop_samples

    def __call__(self, wave: Tensor) -> Tensor:
        """(T,) float32 mono to (ceil(T / hop), D) float32; silence is assumed beyond the end."""
        model = self._on_device
        if self._loaded.normalised:
            wave = standardised(wave[None])[0]
        rows = -(-wave.shape[0] // self.hop_samples)
        # The conv stack sees more than a hop: without these zeros it would drop the last row.
        needed = (rows - 1) * self.hop_samples + self._loaded.receptive_samples
        wave = F.pad(wave, (0, max(0, needed - wave.shape[0])))[None].to(model.mask_emb.device)
        with torch.inference_mode():
            return model.extract_features(wave, output_layer=self.layer)[0][0, :rows].float().cpu()

    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The rows of a track of any length in bounded memory.

        Args:
            blocks: (n,) float32 each, end to end.

        Yields:
            (rows, D) float32, end to end.
        """
        hop = self.hop_samples
        core, context = (int(seconds * self.label_rate_hz) * hop for seconds in (CORE_SECONDS, CONTEXT_SECONDS))
        for window in windows(blocks, core, context, context):
            first = window.lead_samples // hop
            last = first - (-window.core_samples // hop)
            yield self(torch.from_numpy(window.wave))[first:last].numpy()

    @cached_property
    def _loaded(self) -> LoadedModel:
        read_checkpoint(self.checkpoint)  # says in plain words what is no checkpoint at all
        try:
            models, cfg, _ = load_model_ensemble_and_task([self.checkpoint])
        except Exception as error:  # torch and fairseq raise many types here, none of them public
            raise ValueError(f"{self.checkpoint}: cannot be read as a checkpoint of MERT ({error}).") from error
        if not isinstance(models[0], MERTModel):
            raise ValueError(f"{self.checkpoint}: found a {type(models[0]).__name__}, expected a pretrained MERT.")
        seen = receptive_field(parse_conv_layers(cfg.model.conv_feature_layers))
        return LoadedModel(models[0].eval(), cfg.task.sample_rate, bool(cfg.task.normalize), seen)

    @cached_property
    def _on_device(self) -> MERTModel:
        """The model where it runs; moved in the process that uses it, because no GPU survives a fork."""
        return self._loaded.model.to("cuda" if torch.cuda.is_available() else "cpu")


def features_of(settings: dict[str, Any], checkpoint: str | None = None) -> LayerFeatures:
    """The features that ``settings`` describe, from ``checkpoint`` if the file has moved since.

    Raises:
        FileNotFoundError, ValueError: as LayerFeatures.
    """
    kept = {key: value for key, value in settings.items() if key != "kind"}
    return LayerFeatures(**{**kept, **({"checkpoint": checkpoint} if checkpoint else {})})
