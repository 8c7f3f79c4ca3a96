"""The model card of an export, filled from the training's own configuration."""

from dataclasses import dataclass
from pathlib import Path

from mert_fairseq.frames import parse_conv_layers, receptive_field
from mert_fairseq.hf.config import frame_rate_hz
from mert_fairseq.hf.pretraining import Pretraining
from mert_fairseq.manifest import Manifest
from mert_fairseq.models.mert_config import MERTConfig

SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class Statement:
    """Facts for the card that the checkpoint does not hold.

    Attributes:
        name: of the model.
        licence: an identifier that the Hugging Face hub knows, such as cc-by-4.0; empty if not stated.
        data: one sentence about the music it was trained on; empty if not stated.
        hours: of that music; None to count them in the training's manifest, if it still exists.
    """

    name: str
    licence: str = ""
    data: str = ""
    hours: float | None = None


def model_card(source: Pretraining, cfg: MERTConfig, layout: str, statement: Statement, largest: float) -> str:
    """Markdown with the hub's front matter.

    Args:
        source: the checkpoint.
        cfg: its model options.
        layout: hubert or mert.
        statement: facts that the checkpoint does not hold.
        largest: measured difference between export and checkpoint, relative to a layer's scale.
    """
    parts = [
        _front_matter(statement),
        _summary(source, cfg, statement),
        _usage(cfg, layout),
        _training(source, cfg, statement),
        _layers(cfg, layout),
        _limits(source, cfg, largest),
    ]
    return "\n".join(parts)


def _front_matter(statement: Statement) -> str:
    return f"""---
license: {statement.licence or "other"}
library_name: transformers
pipeline_tag: feature-extraction
tags:
- music
- audio
- mert
---
"""


def _summary(source: Pretraining, cfg: MERTConfig, statement: Statement) -> str:
    rate = frame_rate_hz(cfg.conv_feature_layers, source.encoder.sample_rate)
    samples = receptive_field(parse_conv_layers(cfg.conv_feature_layers))
    parameters = sum(weight.numel() for weight in source.weights.values())
    return f"""# {statement.name}

A MERT encoder ([arXiv:2306.00107](https://arxiv.org/abs/2306.00107)) that turns music into features.

- {parameters:,} parameters, {cfg.encoder_layers} Transformer layers of width {cfg.encoder_embed_dim}
- input: mono audio at {source.encoder.sample_rate} Hz, at least {samples} samples
- output: {rate:g} frames per second
"""


def _usage(cfg: MERTConfig, layout: str) -> str:
    trust = ", trust_remote_code=True" if layout == "mert" else ""
    code = "\nThe model file is part of this folder; read it before you trust it.\n" if trust else ""
    return f"""## Use
{code}
```python
import torch
from transformers import AutoFeatureExtractor, AutoModel

extractor = AutoFeatureExtractor.from_pretrained(FOLDER)
model = AutoModel.from_pretrained(FOLDER{trust}).eval()
inputs = extractor(wave, sampling_rate=extractor.sampling_rate, return_tensors="pt")  # wave: (T,) float32
with torch.inference_mode():
    outputs = model(**inputs, output_hidden_states=True)
layers = torch.stack(outputs.hidden_states)  # ({cfg.encoder_layers + 1}, batch, frames, {cfg.encoder_embed_dim})
clip = layers.mean(dim=2)                    # one vector per layer and clip
```
"""


def _training(source: Pretraining, cfg: MERTConfig, statement: Statement) -> str:
    hours = statement.hours if statement.hours is not None else manifest_hours(source)
    rows = {
        "Teachers": "; ".join(_teachers(source, cfg)),
        "Data": statement.data or "not stated",
        "Hours of music": f"{hours:.1f}" if hours is not None else "not known",
        "Updates": f"{source.num_updates:,}" if source.num_updates is not None else "not known",
        "Waves normalised": "yes, each to mean 0 and variance 1" if _normalised(source, cfg) else "no",
        "Mixture probability": f"{max(0.0, cfg.mixture_prob):g}",
        "Licence": statement.licence or "not stated by the person who exported it",
        **{f"`{name}`": f"{value:.4g}" for name, value in sorted(source.metrics.items())},
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["## Training", "", "| | |", "|---|---|", *lines, ""])


def _teachers(source: Pretraining, cfg: MERTConfig) -> list[str]:
    """One phrase per teacher."""
    sizes = sorted({len(symbols) for symbols, _ in source.codebooks})
    codes = f" of {' or '.join(map(str, sizes))} codes" if sizes else ""
    labels = list(source.task.get("labels") or [])
    found = [f"labels {', '.join(labels)}{codes}"] if labels else []
    if cfg.audio_cqt_loss_m:
        found.append(f"constant-Q transform, {cfg.audio_cqt_bins} bins")
    if cfg.audio_mel_loss_m:
        found.append(f"log-mel spectrum, {cfg.audio_mel_bins} bins")
    return found or ["not known"]


def manifest_hours(source: Pretraining) -> float | None:
    """Hours of the training's manifest, if it can still be read on this machine."""
    data, split = source.task.get("data"), source.task.get("train_subset") or "train"
    path = Path(str(data)) / f"{split}.tsv"
    if not data or not path.is_file():
        return None
    return float(sum(Manifest.read(path).samples)) / source.encoder.sample_rate / SECONDS_PER_HOUR


def _normalised(source: Pretraining, cfg: MERTConfig) -> bool:
    return source.encoder.normalize or cfg.wav_normalize


def _layers(cfg: MERTConfig, layout: str) -> str:
    text = """## Layers

State 0 enters the first Transformer layer (features of the convolutions and positions); state i is the output of
layer i. The best layer depends on the task: compare them on a validation set, or learn a weighted sum of all.
"""
    if not (cfg.layer_norm_first and layout == "hubert"):
        return text
    return text + (
        "\nThis is a pre-norm model: `last_hidden_state` is after the final layer norm. `hidden_states[-1]` is before"
        "\nit in transformers 5, after it in transformers 4.\n"
    )


def _limits(source: Pretraining, cfg: MERTConfig, largest: float) -> str:
    lines = [
        f"- The export was compared with the checkpoint in all layers: the largest difference is {largest:.0e} of a\n"
        f"  layer's scale.",
        "- It was trained on short clips. Cut long recordings into windows; attention costs the square of the length.",
        "- Features reflect the music it was trained on; test them on yours before you rely on them.",
    ]
    if str(cfg.extractor_mode) == "default":
        lines.append(
            "- **Padding changes the features.** The first convolution has a group norm over the whole clip, which "
            "sees padding even\n  with an attention mask. Batch clips of equal length only, or run them one by one."
        )
    if _normalised(source, cfg):
        lines.append("- Waves were normalised in training; the feature extractor does the same (`do_normalize: true`).")
    return "\n".join(["## Limits", "", *lines, ""])
