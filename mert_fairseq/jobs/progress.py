"""The progress bar of jobs on audio: share done, hours of audio, speed relative to real time, rejects."""

import sys
import time

from tqdm import tqdm


class AudioBar:
    """A bar on standard error over bytes or seconds of audio; it appears with the first report.

    Args:
        title: of the job.
        unit: "B" for bytes, "s" for seconds of audio.
    """

    def __init__(self, title: str, unit: str = "s") -> None:
        self._title, self._unit = title, unit
        self._bar: tqdm | None = None
        self._started = time.monotonic()
        self._seconds_before = 0.0

    def show(self, done: float, total: float, seconds: float, rejects: int = 0, files: str = "") -> None:
        """Update the bar. The first call shows the work of an earlier run, which does not count for the speed.

        Args:
            done: bytes or seconds that are done.
            total: bytes or seconds of the job.
            seconds: of audio that are done.
            rejects: files without a result.
            files: text such as "3/10 files".
        """
        if self._bar is None:
            self._started, self._seconds_before = time.monotonic(), seconds
            self._bar = tqdm(
                total=round(total),
                initial=round(done),
                desc=self._title,
                unit=self._unit,
                unit_scale=True,
                file=sys.stderr,
                mininterval=0.5 if sys.stderr.isatty() else 10,
                bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
            )
        speed = (seconds - self._seconds_before) / max(1e-9, time.monotonic() - self._started)
        notes = [files] if files else []
        notes += [f"{seconds / 3600:.2f} h of audio", f"{speed:.0f} x real time"]
        notes += [f"{rejects} rejects"] if rejects else []
        self._bar.set_postfix_str(", ".join(notes), refresh=False)
        self._bar.update(round(done) - self._bar.n)

    def close(self) -> None:
        """Stop updating; the bar stays on the screen."""
        if self._bar is not None:
            self._bar.close()
