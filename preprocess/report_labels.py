#!/usr/bin/env python
"""Report on the teachers: codes used, perplexity, entropy and duration of each label, and the CQT of known tones.

    python preprocess/report_labels.py data/mine --out exp/teachers
    python preprocess/report_labels.py data/mine --labels logmel_300 chroma_200 --splits train --out exp/teachers --json

Open exp/teachers/index.html. Exit status: 0 done, 1 wrong input, 2 wrong options.
"""

import argparse
import json
import sys
from pathlib import Path

from mert_fairseq.arguments import Help, check_checkout, positive_float, positive_int
from mert_fairseq.jobs.command import FROM_THE_BEGINNING, run_command
from mert_fairseq.label_extraction.code_usage import label_usage
from mert_fairseq.label_extraction.report import write_report
from mert_fairseq.labels.label_folder import expand_families, label_names


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    options.add_argument("label_dir", type=Path, help="folder of label files and dictionaries")
    options.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of index.html and its pictures")
    options.add_argument("--labels", nargs="+", help="names or families (default: all that have a dictionary)")
    options.add_argument("--splits", nargs="+", default=["train", "valid"], help="splits to report on")
    options.add_argument("--label-rate", type=positive_float, default=75.0, metavar="HZ", help="codes per second")
    options.add_argument(
        "--tracks", type=positive_int, metavar="N", help="count at most N tracks per split, evenly spread"
    )
    options.add_argument("--json", action="store_true", help="print the figures as JSON")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = parser().parse_args(arguments)

    def report() -> str:
        labels = expand_families(options.labels or label_names(options.label_dir), options.label_dir)
        usages = [
            label_usage(options.label_dir, split, labels, options.label_rate, options.tracks)
            for split in options.splits
        ]
        page = write_report(usages, options.out)
        if options.json:
            return json.dumps({"report": str(page), **{usage.split: usage.rows for usage in usages}})
        return f"open {page}"

    return run_command("report_labels", report, FROM_THE_BEGINNING)


if __name__ == "__main__":
    check_checkout(__file__)
    sys.exit(main())
