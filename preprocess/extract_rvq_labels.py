#!/usr/bin/env python
"""Make RVQ labels from manifests: EnCodec's codes, or those of a residual K-means teacher that fit makes.

    python preprocess/extract_rvq_labels.py apply data/mine --teacher encodec --weights encodec_24khz-d7cc33bc.th

    python preprocess/extract_rvq_labels.py fit   data/mine --teacher data/mine/rvq.npz
    python preprocess/extract_rvq_labels.py apply data/mine --teacher data/mine/rvq.npz --splits train valid

On Slurm, as an array of jobs:

    apply ... --launcher slurm --shards 64 --workers 16 --job-options slurm_partition=cpu timeout_min=600

fit reads at most --hours of audio. If apply is killed, run the same command again: it continues where it stopped.
Exit status: 0 done, 1 wrong input, 2 wrong options, 130 interrupted. See docs/teachers.md.
"""

import argparse
import sys

from mert_fairseq.arguments import Help, check_checkout, positive_int
from mert_fairseq.label_extraction import cli
from mert_fairseq.label_extraction.label_job import ENCODEC, TeacherSource


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    verbs = options.add_subparsers(dest="verb", required=True)
    fit = verbs.add_parser("fit", help="fit a residual K-means teacher", formatter_class=Help)
    cli.add_fit_options(fit)
    fit.add_argument("--codebooks", type=positive_int, default=8, help="number of codebooks, one label each")
    fit.add_argument("--codes", type=positive_int, default=1024, help="number of codes per codebook")
    for verb_options in cli.add_label_verbs(verbs):
        cli.add_encodec_options(verb_options)
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = parser().parse_args(arguments)
    if options.verb == "fit":
        return cli.fit(
            "extract_rvq_labels fit",
            options,
            lambda: cli.frame_features(options),
            options.codebooks,
            options.codes,
        )

    def label() -> dict:
        source = TeacherSource(options.teacher, options.weights, options.sha256, options.batch)
        name = options.name or ("encodec" if options.teacher == ENCODEC else "rvq")
        jobs = cli.label_jobs(options, source, name, numbered=True)
        return cli.apply(options, jobs) if options.verb == "apply" else cli.merge(jobs)

    return cli.run_label_command(f"extract_rvq_labels {options.verb}", label, options.json)


if __name__ == "__main__":
    check_checkout(__file__)
    sys.exit(main())
