#!/usr/bin/env python
"""Turn FMA's tables and audio into {train,valid,test}.tsv in the official splits, 24 kHz audio, genre labels, rejects.

    python preprocess/prepare_fma.py data/fma/fma_metadata data/fma/fma_small data/fma_small --subset small
    mert-check-data data/fma_small

Decodes every file once (about 300 times real time per process: 7 minutes for small on 2 cores). After an interruption,
the same command resumes. --plan-only shows in seconds what would be examined. The next step is frame labels.
"""

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path

from mert_fairseq.arguments import Help, check_checkout
from mert_fairseq.fma import FMA, SPLITS, SUBSETS
from mert_fairseq.fma.licences import CONDITIONS
from mert_fairseq.jobs.command import run_command
from mert_fairseq.preprocessing.cli_options import ExaminationBar, add_conversion_options, conversion_settings
from mert_fairseq.preprocessing.fma_pipeline import plan_fma, prepare_fma
from mert_fairseq.preprocessing.fma_selection import Choice


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    options.add_argument("metadata_dir", type=Path, help="unpacked fma_metadata: tracks.csv and genres.csv are read")
    options.add_argument("audio_dir", type=Path, help="unpacked fma_small, fma_medium, fma_large or fma_full")
    options.add_argument("out_dir", type=Path, help="gets manifests, genres/, rejects.tsv, tracks.tsv, attribution.tsv")
    options.add_argument(
        "--subset", choices=SUBSETS, default="small", help="includes all smaller ones; large is everything"
    )
    options.add_argument("--splits", nargs="+", choices=SPLITS, default=SPLITS, help="official splits to use")
    options.add_argument("--archive", choices=(*SUBSETS, "full"), help="the audio archive, if not that of --subset")
    options.add_argument(
        "--require", nargs="+", choices=CONDITIONS, default=(), help="use only tracks whose licence allows this"
    )
    options.add_argument("--keep-known-bad", action="store_true", help="examine the files that are known to be broken")
    options.add_argument(
        "--keep-duplicates", action="store_true", help="keep tracks with the same audio as another track"
    )
    # 5 s is a training crop
    add_conversion_options(options, "gets mono 16-bit files (default: OUT_DIR/audio)", min_seconds=5.0)
    options.add_argument(
        "--plan-only", action="store_true", help="match tables and file names only: planned_rejects.tsv"
    )
    options.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Parse, prepare, print; returns the exit status."""
    options = parser().parse_args(arguments)
    settings = conversion_settings(options, options.convert_to or options.out_dir / "audio")
    choice = Choice(
        options.subset,
        tuple(options.splits),
        options.archive or options.subset,
        tuple(options.require),
        options.keep_known_bad,
        options.keep_duplicates,
    )
    fma = FMA(options.metadata_dir)

    def prepare() -> str:
        if options.plan_only:
            plan = plan_fma(fma, options.out_dir, settings, choice)
            found: dict[str, object] = plan.counts()
            text = ", ".join(f"{count} {what}" for what, count in found.items())
        else:
            with closing(ExaminationBar()) as bar:
                summary = prepare_fma(fma, options.out_dir, settings, choice, options.workers, bar)
            found, text = summary.as_dict(), str(summary)
        return json.dumps(found) if options.json else f"{options.out_dir}: {text}"

    return run_command("prepare_fma", prepare)


if __name__ == "__main__":
    check_checkout(__file__)
    sys.exit(main())
