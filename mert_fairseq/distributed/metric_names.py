"""Names that TensorBoard and Weights & Biases show, for the short keys of fairseq's log.

The JSON log keeps fairseq's keys. In a readable name, the part before the slash is the group that both tools show
together.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch

NAMES = {
    "loss": "loss/total",
    "features_pen": "loss/feature_penalty",
    "cqt_pred_m": "spectra/CQT_error",
    "mel_pred_m": "spectra/log_mel_error",
    "masked_share": "batch/masked_share",
    "bsz": "batch/clips",
    "wpb": "batch/predicted_frames",
    "wps": "speed/predicted_frames_per_second",
    "ups": "speed/updates_per_second",
    "wall": "time/wall_seconds",
    "train_wall": "time/training_seconds",
    "gb_free": "memory/GPU_GB_free",
    "lr": "optimizer/learning_rate",
    "gnorm": "optimizer/gradient_norm",
    "clip": "optimizer/clipped_percent",
    "loss_scale": "optimizer/loss_scale",
    "audio_hours": "audio/hours_heard",
    "audio_per_second": "audio/seconds_per_second",
    "unreadable": "audio/unreadable_tracks",
}
CODEBOOK_GROUPS = {
    "loss": "bits",
    "accuracy": "accuracy",
    "baseline": "baseline_accuracy",
    "over_baseline": "accuracy_over_baseline",
}
CODEBOOK_KEY = re.compile(r"(loss|accuracy|baseline|over_baseline)_([mu])_(\d+)")


def readable_name(key: str) -> str:
    """The name of a logged value; keys without one, such as those of other tasks, stay as they are.

    Examples:
        ``loss_m_0`` is ``bits/codebook_0``, on masked frames; ``accuracy_u_3`` is ``accuracy_unmasked/codebook_3``;
        ``best_loss`` is ``loss/total_best``.
    """
    if match := CODEBOOK_KEY.fullmatch(key):
        kind, frames, codebook = match.groups()
        return f"{CODEBOOK_GROUPS[kind]}{'_unmasked' if frames == 'u' else ''}/codebook_{codebook}"
    if key.startswith("best_"):
        return f"{readable_name(key.removeprefix('best_'))}_best"
    return NAMES.get(key, key)


def readable_values(stats: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among the logged values, by readable name; the update number is the axis, not a value."""
    numbers = {key: value for key, value in stats.items() if isinstance(value, int | float)}
    numbers |= {key: value.item() for key, value in stats.items() if torch.is_tensor(value) and value.numel() == 1}
    return {readable_name(key): float(value) for key, value in numbers.items() if key != "num_updates"}
