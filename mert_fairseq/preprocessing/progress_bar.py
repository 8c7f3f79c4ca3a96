"""The progress bar of the commands that examine files."""

import time

from tqdm import tqdm

from mert_fairseq.preprocessing.examine_files import Progress


class Bar:
    """A progress bar over the bytes of the sources, with hours of audio and speed."""

    def __init__(self) -> None:
        self.bar: tqdm | None = None
        self.started = time.monotonic()
        self.seconds_before = 0.0

    def __call__(self, progress: Progress) -> None:
        if self.bar is None:  # the first report holds what an earlier run did
            self.seconds_before = progress.seconds
            self.bar = tqdm(
                total=progress.total_bytes, initial=progress.done_bytes, unit="B", unit_scale=True, desc="examining"
            )
        speed = (progress.seconds - self.seconds_before) / max(1e-9, time.monotonic() - self.started)
        self.bar.set_postfix_str(
            f"{progress.files}/{progress.total_files} files, {progress.seconds / 3600:.2f} h of audio, "
            f"{speed:.0f} x real time, {progress.rejects} refused",
            refresh=False,
        )
        self.bar.update(progress.done_bytes - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
