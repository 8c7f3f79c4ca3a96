"""A progress bar over audio: hours done and speed in times real time."""

import sys
import time

from tqdm import tqdm


class AudioBar:
    """A bar over seconds of audio, on standard error; quiet unless a terminal or a log wants it.

    Args:
        title: what is going on.
        total_seconds: of audio.
        done_seconds: of audio by an earlier run.
    """

    def __init__(self, title: str, total_seconds: float, done_seconds: float = 0.0):
        self._done_before = done_seconds
        self._started = time.monotonic()
        self._bar = tqdm(
            total=round(total_seconds),
            initial=round(done_seconds),
            desc=title,
            file=sys.stderr,
            mininterval=0.5 if sys.stderr.isatty() else 10,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
        )
        self.seconds = done_seconds
        self.refused = 0

    @property
    def speed(self) -> float:
        """Seconds of audio a second, without what an earlier run did."""
        return (self.seconds - self._done_before) / max(1e-9, time.monotonic() - self._started)

    def add(self, seconds: float, refused: bool = False) -> None:
        """A track is done."""
        self.seconds += seconds
        self.refused += refused
        note = f"{self.seconds / 3600:.2f} h of audio, {self.speed:.0f} x real time"
        self._bar.set_postfix_str(note + (f", {self.refused} refused" if self.refused else ""), refresh=False)
        self._bar.update(round(self.seconds) - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()
