#!/usr/bin/env python
"""A split into n shards, manifests and labels, for corpora whose manifest and labels should not be held whole.

    python preprocess/make_shards.py data/mine 6
    fairseq-hydra-train ... task.sharding_data=6 task.load_random_data_shard=false

Tracks are dealt at random by --seed. Epoch e of a training then sees one shard: the next, or one that is drawn.
Exit status: 0 written, 1 wrong input, 2 wrong options.
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from mert_fairseq.arguments import Help, check_checkout, positive_int
from mert_fairseq.jobs.command import STARTS_ANEW, run_command
from mert_fairseq.labels.families import expand_families, label_names
from mert_fairseq.sharding import make_shards


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    options.add_argument("data_dir", type=Path, help="folder of the manifest")
    options.add_argument("shards", type=positive_int, help="how many; 100,000 tracks a shard are easily held")
    options.add_argument("--split", default="train", help="to deal")
    options.add_argument("--label-dir", type=Path, help="else the same folder")
    options.add_argument(
        "--labels", nargs="*", help="names or families; else all with a dictionary; none: manifests only"
    )
    options.add_argument("--out-dir", type=Path, help="else the same folder")
    options.add_argument("--seed", type=int, default=0, help="of the deal")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Parse, deal, print; returns the exit status."""
    options = parser().parse_args(arguments)
    label_dir, out_dir = options.label_dir or options.data_dir, options.out_dir or options.data_dir

    def split() -> str:
        columns = label_names(label_dir) if options.labels is None else expand_families(options.labels, label_dir)
        tracks = make_shards(
            options.data_dir, options.split, options.shards, columns, out_dir, label_dir, options.seed,
            watch=lambda tracks, total, name: tqdm(tracks, desc=name, total=total),
        )  # fmt: skip
        return f"{out_dir}: {options.split}, {len(tracks)} shards of {min(tracks)} to {max(tracks)} tracks"

    return run_command("make_shards", split, STARTS_ANEW)


if __name__ == "__main__":
    check_checkout(__file__)
    sys.exit(main())
