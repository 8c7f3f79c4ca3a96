"""Beats and downbeats of frames: cross entropy, decoding, and the summed F measure."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mert_fairseq.probing.beats.beat_events import (
    THRESHOLDS,
    WIDENING,
    f_measure_counts,
    frame_targets,
    pick_peaks,
    summed_f_measure,
)
from mert_fairseq.probing.beats.beat_network import BeatNetwork
from mert_fairseq.probing.objectives.base import Objective
from mert_fairseq.probing.probe_data import Clip
from mert_fairseq.probing.rows import Rows

DOWNBEAT_BPM = (18.0, 72.0)  # of MARBLE's version 1

EVENTS = ("beat", "downbeat")
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
        super().__init__(EVENTS)
        self.rate_hz, self.widening, self.monitor_by = rate_hz, widening, monitor_by
        self.events: tuple[str, ...] = EVENTS
        self.column = EVENTS.index(chosen_for)
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
                        [frame_targets(clip.target[name], count, self.rate_hz, widths[name]) for name in EVENTS], 1
                    )
                    for clip, count in zip(clips, counts, strict=True)
                ]
            )
        )

    def check_training(self, targets: Tensor) -> None:
        if not targets[:, self.column].any():
            raise ValueError(f"the training split has no {self.events[self.column]}s. Check the annotations.")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(2)

    def fast_score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError("beats are scored per track")

    def monitor(self, outputs: Tensor, rows: Rows) -> Tensor:
        activations = self.activations(outputs)[..., self.column]
        return torch.tensor([self._f(each, rows, self.column, self.monitor_by, THRESHOLD) for each in activations])

    def activations(self, outputs: Tensor) -> np.ndarray:
        """(..., events) probabilities that a frame is one of ``events``."""
        return outputs.sigmoid().cpu().numpy()

    def tune(self, outputs: Tensor, rows: Rows) -> tuple[float, ...]:
        """The best threshold for picked peaks of each kind of event."""
        return tuple(
            max(THRESHOLDS, key=partial(self._f, track, rows, column, "peaks"))
            for column, track in enumerate(self.activations(outputs).T)
        )

    def score(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> dict[str, float]:
        activations, found = self.activations(outputs), {}
        thresholds = tuned or [THRESHOLD] * len(self.events)
        for column, (name, threshold) in enumerate(zip(self.events, thresholds, strict=True)):
            found[f"{name}_f"] = self._f(activations[:, column], rows, column, "network", 0.0)
            found[f"{name}_f_peaks"] = self._f(activations[:, column], rows, column, "peaks", threshold)
        return found

    def shares(self, outputs: Tensor, rows: Rows, tuned: Any = None) -> np.ndarray | None:
        threshold = (tuned or [THRESHOLD] * len(self.events))[self.column]
        track = self.activations(outputs)[:, self.column]
        pairs = self._pairs(track, rows, self.column, self.monitor_by, threshold)
        place = {unit: index for index, unit in enumerate(rows.units)}
        found = np.zeros((len(place), 2))
        for clip, pair in zip(rows.clips, pairs, strict=True):
            found[place[clip.unit]] += f_measure_counts(*pair)
        return found

    def _f(self, activations: np.ndarray, rows: Rows, column: int, by: str, threshold: float) -> float:
        """F of one output over all tracks."""
        return summed_f_measure(self._pairs(activations, rows, column, by, threshold))

    def _pairs(
        self, activations: np.ndarray, rows: Rows, column: int, by: str, threshold: float
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Reference and found times of each track; references are the labelled frames, as in MARBLE's code."""
        network = self.bar_network if column else self.network
        targets = rows.targets[:, column].numpy()
        for first, end in zip(rows.first[:-1].tolist(), rows.first[1:].tolist(), strict=True):
            track = activations[first:end]
            found = network.beats(track) if by == "network" else pick_peaks(track, self.rate_hz, threshold)
            yield np.flatnonzero(targets[first:end] == 1) / self.rate_hz, found


class TwoClassBeatObjective(BeatObjective):
    """Beats alone as one of two classes with a softmax, as in the first prober of MARBLE's version 1; no downbeats."""

    def __init__(self, rate_hz: float = 75.0, widening: str = "v1_softmax", monitor_by: str = "network") -> None:
        super().__init__(rate_hz, widening, monitor_by)
        self.names, self.events = ("no beat", "beat"), ("beat",)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        classes = (targets[..., 0] > 0).long()
        return F.cross_entropy(outputs.flatten(0, 1), classes.flatten(), reduction="none").view(classes.shape)

    def activations(self, outputs: Tensor) -> np.ndarray:
        return outputs.softmax(-1)[..., 1:].cpu().numpy()


def beat_objective(rate_hz: float, labels: str, monitor_by: str, chosen_for: str = "beat") -> BeatObjective:
    """The objective for a kind of labels, one of WIDENING.

    Raises:
        ValueError: if downbeats are wanted of the two classes beat and no beat.
    """
    if labels != "v1_softmax":
        return BeatObjective(rate_hz, labels, monitor_by, chosen_for)
    if chosen_for != "beat":
        raise ValueError("the beat labels v1_softmax have no downbeats. Give --beat-labels v1, v2 or none.")
    return TwoClassBeatObjective(rate_hz, labels, monitor_by)
