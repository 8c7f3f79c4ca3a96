"""Features of a Transformer layer of a pretrained MERT, to cluster them into labels for a second iteration.

As in HuBERT (arXiv:2106.07447), the first iteration learns from clustered MFCCs, the second from clustered features of
the first. Attention is bidirectional, so long tracks are processed in windows of 20 s, including 2.5 s of context at
each end.
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
    """The content of a checkpoint.

    Attributes:
        model: on the CPU.
        sample_rate: in Hz.
        normalised: whether it was trained on waves of zero mean and unit variance.
        receptive_samples: receptive field of one frame of the conv stack.
    """

    model: MERTModel
    sample_rate: int
    normalised: bool
    receptive_samples: int


@dataclass(frozen=True)
class LayerFeatures:
    """A layer's output, one row per label.

    Args:
        checkpoint: the .pt file saved by fairseq.
        layer: from 1, the first Transformer layer, to the model's number of layers.
        sha256: of the checkpoint; checked if given, otherwise computed.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if the file has another SHA-256, is not a checkpoint of MERT, or does not have this layer.
    """

    checkpoint: str
    layer: int
    sha256: str = ""

    def __post_init__(self) -> None:
        path = Path(self.checkpoint).absolute()
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such checkpoint. Pass the .pt file that fairseq saved (--checkpoint).")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if self.sha256 not in ("", found):
            raise ValueError(
                f"{path}: found SHA-256 {found}, expected {self.sha256}: the teacher was fitted on the features of "
                f"another checkpoint. Pass that checkpoint (--checkpoint), or fit the teacher again."
            )
        object.__setattr__(self, "checkpoint", str(path))
        object.__setattr__(self, "sha256", found)
        layers = len(self._loaded.model.encoder.layers)
        if not 1 <= self.layer <= layers:
            raise ValueError(f"{path}: found {layers} layers, expected layer {self.layer}. Set --layer 1 to {layers}.")

    @property
    def settings(self) -> dict[str, Any]:
        """Everything needed to rebuild the features with ``features_from_settings``."""
        return {"kind": KIND, **asdict(self)}

    @property
    def name(self) -> str:
        """Part of label names, such as mert7."""
        return f"{KIND}{self.layer}"

    @property
    def sample_rate(self) -> int:
        """Sample rate of the wave, in Hz."""
        return self._loaded.sample_rate

    @property
    def hop_samples(self) -> int:
        """Samples per row."""
        return self._loaded.model.hop_samples

    @property
    def label_rate_hz(self) -> float:
        """Rows per second."""
        return self.sample_rate / self.hop_samples

    def __call__(self, wave: Tensor) -> Tensor:
        """Map a mono wave (T,) float32 to (ceil(T / hop), D) float32; the wave is padded with silence at the end."""
        model = self._on_device
        if self._loaded.normalised:
            wave = standardised(wave[None])[0]
        rows = -(-wave.shape[0] // self.hop_samples)
        # The receptive field is longer than a hop: without these zeros the last row would be missing.
        needed = (rows - 1) * self.hop_samples + self._loaded.receptive_samples
        wave = F.pad(wave, (0, max(0, needed - wave.shape[0])))[None].to(model.mask_emb.device)
        with torch.inference_mode():
            return model.extract_features(wave, output_layer=self.layer)[0][0, :rows].float().cpu()

    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Compute the rows of a track of any length in bounded memory.

        Args:
            blocks: consecutive blocks of the wave, (n,) float32 each.

        Yields:
            Consecutive rows, (rows, D) float32.
        """
        hop = self.hop_samples
        core, context = (int(seconds * self.label_rate_hz) * hop for seconds in (CORE_SECONDS, CONTEXT_SECONDS))
        for window in windows(blocks, core, context, context):
            first = window.lead_samples // hop
            last = first - (-window.core_samples // hop)
            yield self(torch.from_numpy(window.wave))[first:last].numpy()

    @cached_property
    def _loaded(self) -> LoadedModel:
        read_checkpoint(self.checkpoint)  # raises a clear error if the file is not a checkpoint
        try:
            models, cfg, _ = load_model_ensemble_and_task([self.checkpoint])
        except Exception as error:  # torch and fairseq raise many undocumented types here
            raise ValueError(f"{self.checkpoint}: cannot load it as a checkpoint of MERT ({error}).") from error
        if not isinstance(models[0], MERTModel):
            raise ValueError(f"{self.checkpoint}: found a {type(models[0]).__name__}, expected a pretrained MERT.")
        seen = receptive_field(parse_conv_layers(cfg.model.conv_feature_layers))
        return LoadedModel(models[0].eval(), cfg.task.sample_rate, bool(cfg.task.normalize), seen)

    @cached_property
    def _on_device(self) -> MERTModel:
        """The model on its device; moved there in the process that uses it, because CUDA does not survive a fork."""
        return self._loaded.model.to("cuda" if torch.cuda.is_available() else "cpu")


def features_from_settings(settings: dict[str, Any], checkpoint: str | None = None) -> LayerFeatures:
    """Rebuild features from their ``settings``; pass ``checkpoint`` if the file has moved.

    Raises:
        FileNotFoundError, ValueError: as ``LayerFeatures``.
    """
    kept = {key: value for key, value in settings.items() if key != "kind"}
    return LayerFeatures(**{**kept, **({"checkpoint": checkpoint} if checkpoint else {})})
