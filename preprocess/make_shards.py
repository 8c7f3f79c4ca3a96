#!/usr/bin/env python
"""Split a manifest and its labels into n shards, for corpora that are too large to hold in memory at once.

    python preprocess/make_shards.py data/mine 6
    fairseq-hydra-train ... task.sharding_data=6 task.load_random_data_shard=false

Tracks are assigned to shards at random by --seed. Each training epoch then reads one shard: the next, or a random one.
Exit status: 0 written, 1 wrong input, 2 wrong options.
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from mert_fairseq.arguments import Help, check_checkout, positive_int
from mert_fairseq.jobs.command import FROM_THE_BEGINNING, run_command
from mert_fairseq.labels.label_folder import expand_families, label_names
from mert_fairseq.sharding import make_shards


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    options.add_argument("data_dir", type=Path, help="folder of the manifest")
    options.add_argument("shards", type=positive_int, help="number of shards; 100,000 tracks per shard fit easily")
    options.add_argument("--split", default="train", help="split to divide")
    options.add_argument("--label-dir", type=Path, help="folder of the labels (default: data_dir)")
    options.add_argument(
        "--labels",
        nargs="*",
        help="names or families (default: all that have a dictionary); without a name, only manifests are written",
    )
    options.add_argument("--out-dir", type=Path, help="folder to write to (default: data_dir)")
    options.add_argument("--seed", type=int, default=0, help="of the random assignment")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = parser().parse_args(arguments)
    label_dir, out_dir = options.label_dir or options.data_dir, options.out_dir or options.data_dir

    def split() -> str:
        columns = label_names(label_dir) if options.labels is None else expand_families(options.labels, label_dir)
        tracks = make_shards(
            options.data_dir, options.split, options.shards, columns, out_dir, label_dir, options.seed,
            progress=lambda tracks, total, name: tqdm(tracks, desc=name, total=total),
        )  # fmt: skip
        return f"{out_dir}: {options.split}, {len(tracks)} shards of {min(tracks)} to {max(tracks)} tracks"

    return run_command("make_shards", split, FROM_THE_BEGINNING)


if __name__ == "__main__":
    check_checkout(__file__)
    sys.exit(main())
