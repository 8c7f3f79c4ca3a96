#!/usr/bin/env python
"""Turn a table of paths and genres into genre labels for the manifests of any music (task genre_audio).

    python preprocess/make_manifest.py ~/music data/mine --convert-to data/mine/audio
    python preprocess/label_genres.py data/mine genres.tsv

The table has a header and is separated by tabs: path (relative to the music folder), genre (several: Folk|Blues) and,
optionally, split (train, valid or test); with splits, new manifests are written to --out. See docs/genre.md.
Exit status: 0 success, 1 nothing matches or wrong input, 2 wrong options.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from mert_fairseq.arguments import Help, check_checkout
from mert_fairseq.jobs.command import FROM_THE_BEGINNING, run_command
from mert_fairseq.preprocessing.genre_table import label_genres


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    options.add_argument("data_dir", type=Path, help="contains {train,valid,test}.tsv, as written by make_manifest.py")
    options.add_argument(
        "table", type=Path, help="path, genre and, optionally, split; with a header, separated by tabs"
    )
    options.add_argument("--out", type=Path, help="gets manifests of the table's splits, and genres/")
    options.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Parse, label, print; returns the exit status."""
    options = parser().parse_args(arguments)

    def label() -> str:
        summary = label_genres(options.data_dir, options.table, options.out)
        return json.dumps(asdict(summary)) if options.json else f"{options.out or options.data_dir}: {summary}"

    return run_command("label_genres", label, FROM_THE_BEGINNING)


if __name__ == "__main__":
    check_checkout(__file__)
    sys.exit(main())
