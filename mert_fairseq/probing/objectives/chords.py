"""Chords of frames: 12 major, 12 minor and none; cross entropy, and the share of frames that are right."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn import metrics
from torch import Tensor

from mert_fairseq.probing.objectives.classes import ClassObjective
from mert_fairseq.probing.objectives.keys import KEYS
from mert_fairseq.probing.probe_data import Clip
from mert_fairseq.probing.rows import Rows

NO_CHORD = "none"
CHORDS = (*KEYS, NO_CHORD)


class ChordObjective(ClassObjective):
    """Targets are ``[[start, end, chord], ...]`` in seconds from the clip's start; the time between them has no chord.

    Args:
        rate_hz: frames per second of the features; frame i shows the chord at i / rate_hz.
    """

    frames = True

    def __init__(self, rate_hz: float = 75.0) -> None:
        super().__init__(CHORDS)
        self.rate_hz = rate_hz

    def encode(self, clips: Sequence[Clip]) -> Tensor:
        raise NotImplementedError("targets of chords are of frames")

    def encode_frames(self, clips: Sequence[Clip], counts: Sequence[int], training: bool) -> Tensor:
        return torch.from_numpy(
            np.concatenate([self._frames(clip, count) for clip, count in zip(clips, counts, strict=True)])
        )

    def _frames(self, clip: Clip, count: int) -> np.ndarray:
        frames = np.full(count, CHORDS.index(NO_CHORD))
        for start, end, chord in clip.target:
            if chord not in CHORDS:
                raise ValueError(f"{clip.id}: found the chord {chord!r}, expected one of {', '.join(CHORDS)}.")
            first, after = (int(np.ceil(round(time * self.rate_hz, 6))) for time in (start, end))
            frames[first:after] = CHORDS.index(chord)
        return frames

    def monitor(self, outputs: Tensor, rows: Rows) -> Tensor:
        return self.fast_score(outputs, rows.targets.to(outputs.device))

    def score(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> dict[str, float]:
        predicted, true = outputs.argmax(1).cpu().numpy(), rows.targets.numpy()
        return {
            "accuracy": float(metrics.accuracy_score(true, predicted)),
            "macro_f1": float(metrics.f1_score(true, predicted, average="macro", zero_division=0)),
        }

    def shares(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> np.ndarray | None:
        right = (outputs.argmax(1).cpu() == rows.targets).numpy()
        units = rows.unit_of_row.numpy()
        return np.stack([np.bincount(units, right), np.bincount(units)], 1)
