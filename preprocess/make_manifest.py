#!/usr/bin/env python
"""Turn a folder of music into {train,valid}.tsv with sidecars, rejects.tsv, tracks.tsv and, if asked, converted audio.

    python preprocess/make_manifest.py ~/music data/mine --convert-to data/mine/audio --valid-fraction 0.05
    mert-check-data data/mine

Decodes every file once, at about 150 times real time per process. After an interruption, the same command resumes.
Exit status: 0 success, 1 nothing usable or wrong input, 2 wrong options, 130 interrupted. See docs/data.md.
"""

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path

from mert_fairseq.arguments import Help, check_checkout
from mert_fairseq.jobs.command import run_command
from mert_fairseq.preprocessing import Split, build_manifests
from mert_fairseq.preprocessing.cli_options import ExaminationBar, add_conversion_options, conversion_settings


def parser() -> argparse.ArgumentParser:
    """The options; defaults are those of the library."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    options.add_argument("audio_dir", type=Path, help="folder of music, searched to any depth, links followed")
    options.add_argument("out_dir", type=Path, help="gets the manifests, rejects.tsv, tracks.tsv and ingest.jsonl")
    options.add_argument("--valid-fraction", type=float, default=0.02, help="share of the music for valid.tsv; 0: none")
    options.add_argument("--seed", type=int, default=0, help="of the draw of the valid tracks")
    options.add_argument(
        "--group-by",
        default="folder",
        help="what stays in one split: folder (the parent folder), file, or N (the first N folders of the "
        "path; 1 keeps the artist of artist/album/track together)",
    )
    add_conversion_options(options, "write mono 16-bit files at --sample-rate here", min_seconds=1.0)
    options.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Parse, build, print; returns the exit status."""
    options = parser().parse_args(arguments)
    settings = conversion_settings(options, options.convert_to)
    split = Split(options.valid_fraction, options.seed, options.group_by)
    bar = ExaminationBar()

    def build() -> str:
        with closing(bar):
            summary = build_manifests(options.out_dir, settings, split, options.workers, bar)
        return json.dumps(summary.as_dict()) if options.json else f"{options.out_dir}: {summary}"

    return run_command("make_manifest", build)


if __name__ == "__main__":
    check_checkout(__file__)
    sys.exit(main())
