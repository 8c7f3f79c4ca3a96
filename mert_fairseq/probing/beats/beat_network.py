"""The dynamic Bayesian network that turns beat activations into beat times (Krebs, Boeck, Widmer, ISMIR 2015).

A state is a beat interval of n frames and a position in it. Positions advance frame by frame; the interval may change
at a beat only. The first sixteenth of an interval explains high activations, the rest low ones.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

SMALLEST = np.finfo(np.float64).eps  # transitions less probable than this are impossible


@dataclass(frozen=True)
class BeatNetwork:
    """A decoder for one frame rate.

    Args:
        rate_hz: frames per second.
        min_bpm: of the slowest beat.
        max_bpm: of the fastest beat.
        change_penalty: how unlikely a change of tempo is; the probability falls with exp(-penalty |b / a - 1|).
        beat_share: the beat takes the first 1 / beat_share of an interval.
    """

    rate_hz: float = 75.0
    min_bpm: float = 55.0
    max_bpm: float = 215.0
    change_penalty: float = 100.0
    beat_share: int = 16

    @cached_property
    def intervals(self) -> np.ndarray:
        """(I,) beat intervals in frames."""
        return np.arange(round(60 * self.rate_hz / self.max_bpm), round(60 * self.rate_hz / self.min_bpm) + 1)

    @cached_property
    def first_states(self) -> np.ndarray:
        """(I,) the first state of each interval; the states of an interval are consecutive."""
        return np.concatenate([[0], np.cumsum(self.intervals)[:-1]])

    @cached_property
    def last_states(self) -> np.ndarray:
        """(I,) the last state of each interval."""
        return np.cumsum(self.intervals) - 1

    @property
    def num_states(self) -> int:
        """All states."""
        return int(self.intervals.sum())

    @cached_property
    def is_beat(self) -> np.ndarray:
        """(states,) bool: positions in the beat's share of the interval."""
        positions = np.concatenate([np.arange(n) / n for n in self.intervals])
        return positions < 1 / self.beat_share

    @cached_property
    def tempo_changes(self) -> np.ndarray:
        """(I, I) log probability of interval b (column) after interval a (row)."""
        ratio = self.intervals[None, :] / self.intervals[:, None]
        chances = np.exp(-self.change_penalty * np.abs(ratio - 1))
        chances[chances < SMALLEST] = 0
        with np.errstate(divide="ignore"):
            return np.log(chances / chances.sum(1, keepdims=True))

    def path(self, activations: np.ndarray) -> np.ndarray:
        """The most probable states (Viterbi), from a uniform start.

        Args:
            activations: (F,) probability of a beat in each frame.

        Returns:
            (F,) states.
        """
        p = np.clip(activations.astype(np.float64), np.finfo(np.float64).tiny, 1 - SMALLEST)
        beat, other = np.log(p), np.log((1 - p) / (self.beat_share - 1))
        score = np.full(self.num_states, -np.log(self.num_states))
        came_from = np.zeros((len(p), len(self.intervals)), dtype=np.int64)  # interval, for each first state
        beat_states = np.flatnonzero(self.is_beat)
        columns = np.arange(len(self.intervals))
        for frame in range(len(p)):
            arriving = score[self.last_states, None] + self.tempo_changes
            came_from[frame] = arriving.argmax(0)
            score[1:] = score[:-1].copy()
            score[self.first_states] = arriving[came_from[frame], columns]
            score += other[frame]
            score[beat_states] += beat[frame] - other[frame]
        states = np.empty(len(p), dtype=np.int64)
        interval_of_first = {int(state): index for index, state in enumerate(self.first_states)}
        state = int(score.argmax())
        for frame in range(len(p) - 1, -1, -1):
            states[frame] = state
            interval = interval_of_first.get(state)
            state = state - 1 if interval is None else int(self.last_states[came_from[frame, interval]])
        return states

    def beats(self, activations: np.ndarray) -> np.ndarray:
        """Beat times in seconds: in each run of frames in the beat range, the frame with the highest activation.

        Args:
            activations: (F,) probability of a beat in each frame.
        """
        if not len(activations) or not activations.any():
            return np.zeros(0)
        in_beat = self.is_beat[self.path(activations)]
        edges = np.flatnonzero(np.diff(np.concatenate([[0], in_beat.astype(np.int8), [0]])))
        frames = [start + int(np.argmax(activations[start:end])) for start, end in edges.reshape(-1, 2)]
        return np.array(frames) / self.rate_hz
