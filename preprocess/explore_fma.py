#!/usr/bin/env python
"""Report FMA's metadata as an HTML page with pictures: tables, missing values, genres, durations, licences, features.

    python preprocess/explore_fma.py data/fma/fma_metadata --out exp/fma_report     # 40 s, 2.7 GB of memory

Audio is not read. Open exp/fma_report/index.html.
"""

import argparse
import logging
import sys
from pathlib import Path

from mert_fairseq.arguments import Help, check_checkout
from mert_fairseq.fma import FMA
from mert_fairseq.jobs.command import FROM_THE_BEGINNING, JobError, run_command


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    options.add_argument("metadata_dir", type=Path, help="unpacked fma_metadata")
    options.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets index.html and its pictures")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Parse, explore, print; returns the exit status."""
    options = parser().parse_args(arguments)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # else it logs every font

    def write_report() -> str:
        try:
            from mert_fairseq.fma.explore import explore
        except ModuleNotFoundError as error:
            raise JobError(
                f"the pictures need {error.name}, which is not installed. pip install 'mert_fairseq[explore]'"
            ) from error
        return f"open {explore(FMA(options.metadata_dir), options.out)}"

    return run_command("explore_fma", write_report, FROM_THE_BEGINNING)


if __name__ == "__main__":
    check_checkout(__file__)
    sys.exit(main())
