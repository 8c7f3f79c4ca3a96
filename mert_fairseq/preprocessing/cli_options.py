"""Options and progress bar of the commands that examine and convert audio."""

import argparse
from pathlib import Path

from mert_fairseq.arguments import default_workers, positive_int
from mert_fairseq.jobs.progress import AudioBar
from mert_fairseq.preprocessing.audio_stats import Limits
from mert_fairseq.preprocessing.examine_files import Progress
from mert_fairseq.preprocessing.examine_track import Settings


def add_conversion_options(options: argparse.ArgumentParser, convert_to: str, min_seconds: float) -> None:
    """Add the options for conversion, limits and worker processes.

    Args:
        options: parser of a command with an argument ``audio_dir``.
        convert_to: help text of --convert-to.
        min_seconds: the default of --min-seconds.
    """
    options.add_argument("--convert-to", type=Path, metavar="DIR", help=convert_to)
    options.add_argument("--sample-rate", type=positive_int, default=24_000, metavar="HZ", help="training rate")
    options.add_argument("--format", choices=("flac", "wav"), default="flac", help="file format of converted audio")
    options.add_argument("--min-seconds", type=float, default=min_seconds, help="reject shorter files")
    options.add_argument("--silence-dbfs", type=float, default=-60.0, help="reject files below this level")
    options.add_argument(
        "--max-clipped-share", type=float, default=0.1, help="reject files with a larger share of samples at full scale"
    )
    options.add_argument(
        "--workers",
        type=positive_int,
        default=default_workers(),
        help="processes (default: the available cores)",
    )


def conversion_settings(options: argparse.Namespace, convert_to: Path | None) -> Settings:
    """Settings from the parsed options; ``convert_to`` None means no conversion."""
    return Settings(
        options.audio_dir,
        options.sample_rate,
        convert_to,
        options.format,
        Limits(options.min_seconds, options.silence_dbfs, options.max_clipped_share),
    )


class ExaminationBar(AudioBar):
    """The progress bar of the commands that examine files, over the bytes of the sources."""

    def __init__(self) -> None:
        super().__init__("examining", unit="B")

    def __call__(self, progress: Progress) -> None:
        files = f"{progress.files}/{progress.total_files} files"
        self.show(progress.done_bytes, progress.total_bytes, progress.seconds, progress.rejects, files)
