"""Beats and downbeats of frames: binary cross entropy, decoding, and the summed F measure."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mert_fairseq.probing.beats.beat_events import THRESHOLDS, WIDENING, frame_targets, pick_peaks, summed_f_measure
from mert_fairseq.probing.beats.beat_network import BeatNetwork
from mert_fairseq.probing.objectives.base import Objective
from mert_fairseq.probing.probe_data import Clip
from mert_fairseq.probing.rows import Rows

DOWNBEAT_BPM = (18.0, 72.0)  # of MARBLE's version 1


class BeatObjective(Objective):
    """Targets are ``{"beat": times, "downbeat": times}`` in seconds from the clip's start.

    Args:
        rate_hz: frames per second of the features.
        widening: of the training labels, one of WIDENING.
        monitor_by: "network" to choose epochs by the network's beats, "peaks" by picked peaks (many times faster).
    """

    frames = True

    def __init__(self, rate_hz: float = 75.0, widening: str = "v1", monitor_by: str = "network") -> None:
        super().__init__(("beat", "downbeat"))
        self.rate_hz, self.widening, self.monitor_by = rate_hz, widening, monitor_by
        self.monitor_name = "beat_f" if monitor_by == "network" else "beat_f_peaks"
        self.network = BeatNetwork(rate_hz)
        self.bar_network = BeatNetwork(rate_hz, *DOWNBEAT_BPM)

    def encode(self, clips: Sequence[Clip]) -> Tensor:
        raise NotImplementedError("targets of beats are of frames")

    def encode_frames(self, clips: Sequence[Clip], counts: Sequence[int], training: bool) -> Tensor:
        widths = WIDENING[self.widening if training else "none"]
        return torch.from_numpy(
            np.concatenate(
                [
                    np.stack(
                        [frame_targets(clip.target[name], count, self.rate_hz, widths[name]) for name in self.names], 1
                    )
                    for clip, count in zip(clips, counts, strict=True)
                ]
            )
        )

    def check_training(self, targets: Tensor) -> None:
        if not targets[:, 0].any():
            raise ValueError("the training split has no beats. Check the annotations' folder.")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(2)

    def fast_score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError("beats are scored per track")

    def monitor(self, outputs: Tensor, rows: Rows) -> Tensor:
        activations = outputs[..., 0].sigmoid().cpu().numpy()
        threshold = 0.3
        return torch.tensor([self._f(each, rows, 0, self.monitor_by, threshold) for each in activations])

    def tune(self, outputs: Tensor, rows: Rows) -> float:
        """The best threshold for picked peaks."""
        activations = outputs[:, 0].sigmoid().cpu().numpy()
        return max(THRESHOLDS, key=lambda threshold: self._f(activations, rows, 0, "peaks", threshold))

    def score(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> dict[str, float]:
        activations = outputs.sigmoid().cpu().numpy()
        return {
            "beat_f": self._f(activations[:, 0], rows, 0, "network", 0.0),
            "beat_f_peaks": self._f(activations[:, 0], rows, 0, "peaks", tuned or 0.3),
            "downbeat_f": self._f(activations[:, 1], rows, 1, "network", 0.0),
        }

    def _f(self, activations: np.ndarray, rows: Rows, column: int, by: str, threshold: float) -> float:
        """F of one output over all tracks; references are the labelled frames, as in MARBLE's code."""
        network = self.bar_network if column else self.network
        targets = rows.targets[:, column].numpy()
        pairs = []
        for first, end in zip(rows.first[:-1].tolist(), rows.first[1:].tolist(), strict=True):
            track = activations[first:end]
            found = network.beats(track) if by == "network" else pick_peaks(track, self.rate_hz, threshold)
            pairs.append((np.flatnonzero(targets[first:end] == 1) / self.rate_hz, found))
        return summed_f_measure(pairs)
