#!/usr/bin/env python
"""Make K-means labels from manifests, as for MERT-v0 and HuBERT's iterations: fit, apply, merge.

    python preprocess/kmeans_labels.py fit   data/mine --teacher data/mine/logmel.npz --features logmel --classes 300
    python preprocess/kmeans_labels.py apply data/mine --teacher data/mine/logmel.npz
    python preprocess/kmeans_labels.py fit   data/mine --teacher data/mine/chroma.npz --features chroma --classes 200
    python preprocess/kmeans_labels.py apply data/mine --teacher data/mine/chroma.npz
    fairseq-hydra-train ... 'task.labels=[logmel_300,chroma_200]'

The second iteration clusters a layer of the model that was trained in the first:

    python preprocess/kmeans_labels.py fit   data/mine --teacher data/mine/second.npz \\
        --features mert --checkpoint exp/first/checkpoint_last.pt --layer 6 --classes 500
    python preprocess/kmeans_labels.py apply data/mine --teacher data/mine/second.npz

On Slurm, as an array of jobs:

    apply ... --launcher slurm --shards 64 --workers 16 --job-options slurm_partition=cpu timeout_min=600

If apply is killed, run the same command again: it continues where it stopped. Exit status: 0 done, 1 wrong input,
2 wrong options, 130 interrupted. See docs/teachers.md.
"""

import argparse
import sys
from functools import partial
from typing import Any

from mert_fairseq.arguments import Help, check_checkout, positive_int
from mert_fairseq.label_extraction import cli
from mert_fairseq.label_extraction.label_job import TeacherSource
from mert_fairseq.teachers.code_teachers import FEATURES_KEY, Features
from mert_fairseq.teachers.rvq import ResidualKMeans

LAYER = "mert"


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    verbs = options.add_subparsers(dest="verb", required=True)
    fit = verbs.add_parser("fit", help="fit a K-means teacher", formatter_class=Help)
    cli.add_fit_options(fit, (LAYER,))
    fit.add_argument(
        "--classes", type=positive_int, default=300, help="number of codes; MERT-v0: 300 for log-mel, 200 for chroma"
    )
    fit.add_argument("--checkpoint", help="for --features mert: a pretrained MERT, which determines the rates")
    fit.add_argument(
        "--layer", type=positive_int, help="for --features mert: layer from 1; HuBERT used layer 6 of 12, then 9"
    )
    for verb_options in cli.add_label_verbs(verbs):
        verb_options.add_argument("--checkpoint", help="of a layer's features, if the file has moved since the fit")
    return options


def selected_features(options: argparse.Namespace) -> Features:
    """The features that the options select."""
    if options.features != LAYER:
        return cli.frame_features(options)
    if not options.checkpoint or options.layer is None:
        raise ValueError("--features mert: expected --checkpoint and --layer of a pretrained MERT.")
    from mert_fairseq.models.layer_features import LayerFeatures  # needs fairseq; the other features do not

    return LayerFeatures(options.checkpoint, options.layer)


def source_of(options: argparse.Namespace) -> TeacherSource:
    """The fitted teacher; for features of a layer, with the function that makes them."""
    metadata: dict[str, Any] = ResidualKMeans.load(options.teacher).metadata
    if metadata.get(FEATURES_KEY, {}).get("kind") != LAYER:
        return TeacherSource(options.teacher)
    from mert_fairseq.models.layer_features import features_from_settings

    return TeacherSource(options.teacher, make_features=partial(features_from_settings, checkpoint=options.checkpoint))


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = parser().parse_args(arguments)
    if options.verb == "fit":
        return cli.fit("kmeans_labels fit", options, lambda: selected_features(options), 1, options.classes)

    def label() -> dict[str, Any]:
        source = source_of(options)
        jobs = cli.label_jobs(options, source, options.name or cli.kmeans_name(source), numbered=False)
        return cli.apply(options, jobs) if options.verb == "apply" else cli.merge(jobs)

    return cli.run_label_command(f"kmeans_labels {options.verb}", label, options.json)


if __name__ == "__main__":
    check_checkout(__file__)
    sys.exit(main())
