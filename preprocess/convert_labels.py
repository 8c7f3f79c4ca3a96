#!/usr/bin/env python
"""Convert label files between text, padded .npy and packed, without loss.

    python preprocess/convert_labels.py data/mine --to packed --label-rate 75
    python preprocess/convert_labels.py data/mine --to text --out-dir data/mine_text

Training finds packed labels by itself and opens any number of them in a second or two; HuBERT's tools read text. The
command reads packed files where there are some, else text; --from padded reads {split}.{label}.npy.
Exit status: 0 written (and equal, with --verify), 1 wrong input, 2 wrong options.
"""

import argparse
import logging
import sys
from pathlib import Path

from tqdm import tqdm

from mert_fairseq.arguments import Help, check_checkout, positive_float
from mert_fairseq.jobs.command import FROM_THE_BEGINNING, JobError, run_command
from mert_fairseq.labels.convert import FORMS, convert_labels, open_form, same_labels
from mert_fairseq.labels.label_folder import expand_families, label_names


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    options.add_argument("label_dir", type=Path, help="folder of label files and dictionaries")
    options.add_argument("--to", choices=FORMS, required=True, help="form to write")
    options.add_argument("--from", dest="source", choices=("auto", "padded"), default="auto", help="form to read")
    options.add_argument(
        "--splits", nargs="+", default=["train", "valid"], help="such as train, or train_0_6 for a shard"
    )
    options.add_argument("--labels", nargs="+", help="names or families (default: all that have a dictionary)")
    options.add_argument("--out-dir", type=Path, help="folder to write to (default: label_dir)")
    options.add_argument("--label-rate", type=positive_float, help="labels per second, recorded in packed files")
    options.add_argument(
        "--verify", action="store_true", help="afterwards read both forms again and compare every code"
    )
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    out_dir = options.out_dir or options.label_dir

    def convert() -> str:
        columns = expand_families(options.labels or label_names(options.label_dir), options.label_dir)
        lines = []
        for split in options.splits:
            read = convert_labels(
                options.label_dir, split, columns, options.to, out_dir, options.source == "padded", options.label_rate,
                progress=lambda tracks, total: tqdm(tracks, desc="tracks", total=total),
            )  # fmt: skip
            if options.verify:
                written = open_form(out_dir, split, columns, options.to)
                if not same_labels(read, written, lambda tracks, total: tqdm(tracks, desc="verifying", total=total)):
                    raise JobError(
                        f"{out_dir}: the labels of {split} differ from those read, expected the same codes. Check the "
                        f"disk, and convert them again."
                    )
            lines.append(
                f"{out_dir}: {split}, {len(columns)} labels of {len(read)} tracks, {int(read.frames.sum())} frames"
            )
        return "\n".join(lines)

    return run_command("convert_labels", convert, FROM_THE_BEGINNING)


if __name__ == "__main__":
    check_checkout(__file__)
    sys.exit(main())
