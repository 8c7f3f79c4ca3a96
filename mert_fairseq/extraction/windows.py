"""Cuts audio of any length into windows, in bounded memory.

A file of at most one window goes through the model whole. A longer one is cut into windows of equal length. The
frames in the middle of each window are kept. The ``context_frames`` at both sides serve as context for attention; they
are kept only at the ends of the file. The last window starts earlier so that it is as long as the others. The position
of windows depends on the file alone, so features do not depend on batches or on the number of processes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mert_fairseq.extraction.frozen_encoder import Encoder

WINDOW_SECONDS = 32.0  # the 30 s clips of the usual data sets, or slightly longer ones, are one window
CONTEXT_SECONDS = 2.0


class Window(NamedTuple):
    """A piece of audio for the model, and which of its frames are kept.

    Attributes:
        wave: (T,) float32.
        skipped: frames of the window before the first kept one.
        first: the first kept frame, counted in the file.
        frames: number of kept frames.
        is_last: whether the file ends with them.
    """

    wave: np.ndarray
    skipped: int
    first: int
    frames: int
    is_last: bool


@dataclass(frozen=True)
class Windowing:
    """Lengths of windows, in frames and samples.

    Args:
        hop_samples: from one frame to the next.
        receptive_samples: that one frame sees.
        window_frames: frames of a window, for files longer than one window.
        context_frames: frames at each side of a window that are not kept.

    Raises:
        ValueError: if the window is not longer than its two contexts.
    """

    hop_samples: int
    receptive_samples: int
    window_frames: int
    context_frames: int

    def __post_init__(self) -> None:
        if not 0 <= 2 * self.context_frames < self.window_frames:
            raise ValueError(
                f"the window has {self.window_frames} frames and {self.context_frames} of context at each side, "
                f"expected a window longer than twice the context. Give a longer window or a shorter context."
            )

    @classmethod
    def of(
        cls, encoder: Encoder, window_seconds: float = WINDOW_SECONDS, context_seconds: float = CONTEXT_SECONDS
    ) -> "Windowing":
        """The windowing for an encoder; seconds are rounded to frames."""
        frames = (round(seconds * encoder.frame_rate_hz) for seconds in (window_seconds, context_seconds))
        return cls(encoder.hop_samples, encoder.receptive_samples, *frames)

    @property
    def window_samples(self) -> int:
        """Samples of a full window: exactly those that its frames see."""
        return (self.window_frames - 1) * self.hop_samples + self.receptive_samples

    def num_frames(self, samples: int) -> int:
        """Frames of a file, 0 if it is shorter than one frame sees."""
        return max(0, (samples - self.receptive_samples) // self.hop_samples + 1)

    def cut(self, blocks: Iterable[np.ndarray]) -> Iterator[Window]:
        """Cut a stream of audio; the kept frames of its windows follow one another.

        Args:
            blocks: (n,) float32 each, end to end.

        Yields:
            Windows in order; none if the audio is shorter than one frame sees.
        """
        step = self.window_frames - 2 * self.context_frames
        held, held_from = np.empty(0, dtype=np.float32), 0  # held_from: the frame that the held samples begin with
        start, kept = 0, 0  # the frame that the next window begins with, the frames kept so far
        for block in blocks:
            held = np.concatenate([held, block])
            # A window is cut only when the file is known to be longer: the last window is placed from the end.
            while held_from + self.num_frames(len(held)) > start + self.window_frames:
                last = start + self.window_frames - self.context_frames
                yield self._window(held, held_from, start, kept, last, is_last=False)
                kept = last
                held, held_from = held[(start - held_from) * self.hop_samples :], start
                start += step
        total = held_from + self.num_frames(len(held)) if len(held) >= self.receptive_samples else 0
        if total > self.window_frames:
            yield self._window(held, held_from, total - self.window_frames, kept, total, is_last=True)
        elif total:
            yield Window(held, 0, 0, total, is_last=True)

    def _window(self, held: np.ndarray, held_from: int, start: int, first: int, last: int, is_last: bool) -> Window:
        begin = (start - held_from) * self.hop_samples
        return Window(held[begin : begin + self.window_samples], first - start, first, last - first, is_last)
