"""The options of the commands that decode and convert audio, and the settings that they make."""

import argparse
from pathlib import Path

from mert_fairseq.arguments import default_workers, positive_int
from mert_fairseq.preprocessing.audio_stats import Limits
from mert_fairseq.preprocessing.examine_track import Settings


def add_conversion_options(options: argparse.ArgumentParser, convert_to: str, min_seconds: float) -> None:
    """Add what is refused, what is converted and how many processes do it.

    Args:
        options: of a command with an argument ``audio_dir``.
        convert_to: help of --convert-to.
        min_seconds: the default of --min-seconds.
    """
    options.add_argument("--convert-to", type=Path, metavar="DIR", help=convert_to)
    options.add_argument("--sample-rate", type=positive_int, default=24_000, metavar="HZ", help="of training")
    options.add_argument("--format", choices=("flac", "wav"), default="flac", help="of converted files")
    options.add_argument("--min-seconds", type=float, default=min_seconds, help="refuse shorter files")
    options.add_argument("--silence-dbfs", type=float, default=-60.0, help="refuse files that stay below")
    options.add_argument(
        "--max-clipped-share", type=float, default=0.1, help="refuse files with a larger share of samples at full scale"
    )
    options.add_argument(
        "--workers", type=positive_int, default=default_workers(), help="processes (default: the cores it may use)"
    )


def conversion_settings(options: argparse.Namespace, convert_to: Path | None) -> Settings:
    """What the parsed options say, converting to a folder, or not at all."""
    return Settings(
        options.audio_dir,
        options.sample_rate,
        convert_to,
        options.format,
        Limits(options.min_seconds, options.silence_dbfs, options.max_clipped_share),
    )
