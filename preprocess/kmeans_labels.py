#!/usr/bin/env python
"""Manifests -> K-means labels, as MERT-v0 and HuBERT's first iteration had them: fit, apply, merge shards.

    python preprocess/kmeans_labels.py fit   data/mine --teacher data/mine/logmel.npz --features logmel --classes 300
    python preprocess/kmeans_labels.py apply data/mine --teacher data/mine/logmel.npz
    python preprocess/kmeans_labels.py fit   data/mine --teacher data/mine/chroma.npz --features chroma --classes 200
    python preprocess/kmeans_labels.py apply data/mine --teacher data/mine/chroma.npz
    fairseq-hydra-train ... 'task.labels=[logmel_300,chroma_200]'

Killed, it resumes: give the same command again. Exit status: 0 done, 1 wrong input, 2 wrong options, 130 interrupted.
See docs/teachers.md.
"""

import argparse
import sys

from mert_fairseq.labelling import command
from mert_fairseq.labelling.source import TeacherSource


def parser() -> argparse.ArgumentParser:
    """The options; their defaults are the library's."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = options.add_subparsers(dest="verb", required=True)
    fit = verbs.add_parser("fit", help="fit a K-means teacher")
    command.add_fit_options(fit)
    fit.add_argument("--classes", type=int, default=300)
    for verb, text in (("apply", "label"), ("merge", "join the shards of apply --shard")):
        command.add_apply_options(verbs.add_parser(verb, help=text))
    return options


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, print; returns the exit status."""
    options = parser().parse_args(arguments)
    if options.verb == "fit":
        return command.run_command(
            "kmeans_labels fit",
            lambda: command.fit(options, 1, options.classes),
            options.json,
            command.fit_line,
        )

    def label() -> dict:
        source = TeacherSource(options.teacher)
        jobs = command.label_jobs(options, source, options.name or command.kmeans_name(source), numbered=False)
        return command.apply(options, jobs) if options.verb == "apply" else command.merge(jobs)

    return command.run_command(f"kmeans_labels {options.verb}", label, options.json, command.apply_line)


if __name__ == "__main__":
    sys.exit(main())
