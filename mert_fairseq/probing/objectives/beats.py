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

THRESHOLD = 0.3  # of picked peaks, until the best one is found on validation


class BeatObjective(Objective):
    """Targets are ``{"beat": times, "downbeat": times}`` in seconds from the clip's start.

    Args:
        rate_hz: frames per second of the features.
        widening: of the training labels, one of WIDENING.
        monitor_by: "network" to choose epochs by the network's beats, "peaks" by picked peaks (many times faster).
        chosen_for: "beat" or "downbeat": the events by which epochs, layers and learning rates are chosen.
    """

    frames = True

    def __init__(
        self, rate_hz: float = 75.0, widening: str = "v1", monitor_by: str = "network", chosen_for: str = "beat"
    ) -> None:
        super().__init__(("beat", "downbeat"))
        self.rate_hz, self.widening, self.monitor_by = rate_hz, widening, monitor_by
        self.column = self.names.index(chosen_for)
        self.monitor_name = f"{chosen_for}_f" if monitor_by == "network" else f"{chosen_for}_f_peaks"
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
        if not targets[:, self.column].any():
            raise ValueError(f"the training split has no {self.names[self.column]}s. Check the annotations.")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(2)

    def fast_score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError("beats are scored per track")

    def monitor(self, outputs: Tensor, rows: Rows) -> Tensor:
        activations = outputs[..., self.column].sigmoid().cpu().numpy()
        return torch.tensor([self._f(each, rows, self.column, self.monitor_by, THRESHOLD) for each in activations])

    def tune(self, outputs: Tensor, rows: Rows) -> tuple[float, float]:
        """The best thresholds for picked peaks: of beats, and of downbeats."""
        activations = outputs.sigmoid().cpu().numpy()

        def best(column: int) -> float:
            return max(
                THRESHOLDS, key=lambda threshold: self._f(activations[:, column], rows, column, "peaks", threshold)
            )

        return best(0), best(1)

    def score(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> dict[str, float]:
        activations = outputs.sigmoid().cpu().numpy()
        found = {}
        for column, (name, threshold) in enumerate(zip(self.names, tuned or (THRESHOLD, THRESHOLD), strict=True)):
            found[f"{name}_f"] = self._f(activations[:, column], rows, column, "network", 0.0)
            found[f"{name}_f_peaks"] = self._f(activations[:, column], rows, column, "peaks", threshold)
        return found

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
