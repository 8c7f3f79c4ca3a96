"""Feature sources of probes: a pretrained model or a baseline."""

import hashlib
import re
from abc import ABC, abstractmethod
from pathlib import Path

import torch
from torch import Tensor

from mert_fairseq.extraction import Encoder, load_encoder
from mert_fairseq.models.pretrained import build_encoder, read_pretrained
from mert_fairseq.probing.features.spectral import KINDS, frames_of

# Shape letters: B clips, T samples, S states, F frames, D width.

RANDOM_SEED = 1234
COMPARISONS = re.compile(r"raw-conv|random[2-9]?")  # with a model that they need


class Source(ABC):
    """Frozen features.

    Attributes:
        name: for folders and tables.
        digest: of everything that the features depend on.
        sample_rate: of the waves, in Hz.
        rate_hz: frames per second.
        num_states: S.
        min_samples: the shortest wave.
        normalized: whether clips are standardised before they are cut into windows, unless the protocol overrides it.
        statistics: whether a window is described by mean and standard deviation over time, not by the mean alone.
        standardize: whether features are standardised by the training split before heads read them.
    """

    name: str
    digest: str
    sample_rate: int
    rate_hz: float
    num_states: int
    min_samples: int
    normalized = False
    statistics = False
    standardize = False

    @abstractmethod
    def frames(self, waves: Tensor) -> Tensor:
        """(B, T) float32 to (B, S, F, D) float32."""

    def pooled(self, waves: Tensor, statistics: bool = False) -> Tensor:
        """(B, T) float32 to (B, S, D): means over time; also deviations, if the source or the caller wants them."""
        frames = self.frames(waves)
        means = frames.mean(2)
        return torch.cat([means, frames.std(2, correction=0)], 2) if statistics or self.statistics else means


class ModelSource(Source):
    """The states of a pretrained model, all of them."""

    def __init__(self, encoder: Encoder, name: str, digest: str) -> None:
        self.encoder, self.name, self.digest = encoder, name, digest
        self.sample_rate, self.rate_hz = encoder.sample_rate, encoder.frame_rate_hz
        self.num_states, self.min_samples = encoder.num_layers, encoder.receptive_samples
        self.normalized = encoder.normalizes
        encoder.normalizes = False  # whole clips are standardised, not each window

    def frames(self, waves: Tensor) -> Tensor:
        return self.encoder.layers(waves)


class ConvSource(ModelSource):
    """The output of a model's conv stack alone, below its Transformer."""

    def __init__(self, encoder: Encoder, name: str, digest: str) -> None:
        super().__init__(encoder, name, digest)
        self.num_states = 1

    def frames(self, waves: Tensor) -> Tensor:
        with torch.inference_mode():
            conv = self.encoder.model.feature_extractor(waves.to(self.encoder.device))
        return conv.transpose(1, 2)[:, None].float()


class SpectralSource(Source):
    """Log-mel, MFCC, chroma or CQT of the wave, without any training."""

    num_states, statistics, standardize = 1, True, True
    sample_rate, rate_hz, min_samples = 24_000, 75.0, 2_048

    def __init__(self, kind: str) -> None:
        self.name = self.kind = kind
        self.digest = f"{kind}-1"

    def frames(self, waves: Tensor) -> Tensor:
        return torch.stack([frames_of(self.kind, wave) for wave in waves])[:, None]


def load_source(model: str, device: str | None = None) -> Source:
    """Load the source that ``--model`` names.

    Args:
        model: a checkpoint, a Hugging Face folder or name, ``mfcc``, ``logmel``, ``chroma``, ``cqt``, or
            ``random:MODEL`` (its architecture with random weights; ``random2:MODEL`` to ``random9:MODEL`` have
            others) or ``raw-conv:MODEL``.
        device: such as "cpu" or "cuda".

    Raises:
        FileNotFoundError, ValueError: if the model does not exist.
    """
    if model in KINDS:
        return SpectralSource(model)
    kind, colon, path = model.partition(":")
    if COMPARISONS.fullmatch(model):
        raise ValueError(f"{model} needs a model for comparison: give {model}:PATH.")
    if not (COMPARISONS.fullmatch(kind) and colon):
        kind, path = "", model
    encoder = load_encoder(path, device)
    name = re.sub(r"[^\w.-]+", "_", "_".join(Path(path).parts[-2:])).removesuffix(".pt").strip("_")
    if kind == "raw-conv":
        return ConvSource(encoder, f"raw-conv_{name}", f"raw-conv-{encoder.digest}")
    if kind:
        digest = randomize(encoder, RANDOM_SEED + int(kind.removeprefix("random") or 1) - 1)
        return ModelSource(encoder, f"{kind}_{name}", f"random-{digest}")
    return ModelSource(encoder, name, encoder.digest)


def randomize(encoder: Encoder, seed: int) -> str:
    """Replace the weights of a model by new random ones.

    Returns:
        SHA-256 of the weights.
    """
    model = encoder.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        is_hugging_face = hasattr(model, "config")
        fresh = type(model)(model.config) if is_hugging_face else build_encoder(read_pretrained(encoder.name)[0])
    model.load_state_dict(fresh.state_dict())
    digest = hashlib.sha256()
    for value in model.state_dict().values():
        digest.update(value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()
