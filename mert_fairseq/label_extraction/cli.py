"""The options that the label commands share, and what their verbs do."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mert_fairseq.arguments import Help, default_workers, positive_float, positive_int
from mert_fairseq.jobs.command import STARTS_ANEW, run_command
from mert_fairseq.jobs.launcher import add_launch_options
from mert_fairseq.label_extraction.fit import fit_teacher
from mert_fairseq.label_extraction.label_job import FORMATS, LabelJob, tracks_refused
from mert_fairseq.label_extraction.label_part import run_shard
from mert_fairseq.label_extraction.launch import label_launched
from mert_fairseq.label_extraction.merge import merge_shards
from mert_fairseq.label_extraction.parts import Shard
from mert_fairseq.label_extraction.preflight import refuse_early
from mert_fairseq.label_extraction.sidecar import read_sidecar
from mert_fairseq.label_extraction.teacher_source import ENCODEC, TeacherSource
from mert_fairseq.teachers.features import DEFAULT_WIDTH, FrameFeatures
from mert_fairseq.teachers.labellers import FeatureLabeller, Features


def add_fit_options(options: argparse.ArgumentParser, more_features: tuple[str, ...] = ()) -> None:
    """What both kinds of K-means take, but for the numbers of codebooks and codes."""
    options.add_argument("data", type=Path, help="folder of {split}.tsv")
    options.add_argument("--teacher", type=Path, required=True, metavar="NPZ", help="file to write")
    options.add_argument("--split", default="train", help="fit on this split")
    options.add_argument(
        "--features", choices=(*DEFAULT_WIDTH, *more_features), default="logmel", help="what is clustered"
    )
    options.add_argument("--width", type=int, default=0, help="mel bands, cepstra or chroma bins; 0: 128, 13 or 12")
    options.add_argument("--sample-rate", type=positive_int, default=24_000, help="of the audio, in Hz")
    options.add_argument("--label-rate", type=positive_float, default=75, help="codes a second")
    options.add_argument("--hours", type=positive_float, default=10.0, help="of audio read at most, drawn by the seed")
    options.add_argument("--max-frames", type=positive_int, default=200_000, help="cluster at most so many frames")
    options.add_argument("--seed", type=int, default=0, help="of what is read and where clusters begin")
    options.add_argument(
        "--workers", type=positive_int, default=default_workers(), help="processes (default: the cores it may use)"
    )
    options.add_argument("--json", action="store_true", help="print the summary as one JSON object")


def add_merge_options(options: argparse.ArgumentParser) -> None:
    """Which labels of which tracks, whatever the teacher: all that joining shards takes."""
    options.add_argument("data", type=Path, help="folder of {split}.tsv")
    options.add_argument("--teacher", required=True, help="the .npz that fit wrote, or encodec")
    options.add_argument(
        "--splits", nargs="+", default=["train", "valid"], help="dictionaries count the first to be labelled"
    )
    options.add_argument("--label-dir", type=Path, help="where labels go (default: data)")
    options.add_argument("--name", help="of the labels")
    options.add_argument("--format", choices=FORMATS, default="text", help="packed for more than some 100 h")
    options.add_argument("--json", action="store_true", help="print the summary as one JSON object")


def add_apply_options(options: argparse.ArgumentParser) -> None:
    """The same, and how the tracks are labelled."""
    add_merge_options(options)
    options.add_argument("--shard", type=shard_option, metavar="i/n", help="label one of n parts, from 0; merge later")
    add_launch_options(options)
    options.add_argument(
        "--workers", type=positive_int, help="processes (default: a core each, or 1 for encodec on a GPU)"
    )


def add_label_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> list[argparse.ArgumentParser]:
    """Add apply and merge; gives their parsers, for what only one of the commands takes."""
    apply = verbs.add_parser("apply", help="label", formatter_class=Help)
    add_apply_options(apply)
    merge = verbs.add_parser("merge", help="join the shards of apply --shard", formatter_class=Help)
    add_merge_options(merge)
    return [apply, merge]


def shard_option(text: str) -> Shard:
    """Read i/n; argparse shows the text of this kind of error alone."""
    try:
        return Shard.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def frame_features(options: argparse.Namespace) -> FrameFeatures:
    """The log-mel, MFCC or chroma that the options ask for."""
    return FrameFeatures(options.features, options.sample_rate, options.label_rate, options.width)


def fit(prog: str, options: argparse.Namespace, features: Callable[[], Features], codebooks: int, codes: int) -> int:
    """Fit a teacher, save it, print the summary or the error; gives the exit status."""
    return run_command(
        prog,
        lambda: summary_text(_fit(options, features(), codebooks, codes), options.json, fit_line),
        f"nothing was saved, and {STARTS_ANEW}",
    )


def _fit(options: argparse.Namespace, features: Features, codebooks: int, codes: int) -> dict[str, Any]:
    options.teacher.parent.mkdir(parents=True, exist_ok=True)
    teacher = fit_teacher(
        options.data / f"{options.split}.tsv",
        features,
        codebooks,
        codes,
        options.seed,
        options.hours,
        options.max_frames,
        options.workers,
    )
    teacher.save(options.teacher)
    return {"teacher": str(options.teacher), "codebooks": codebooks, "codes": codes, **teacher.about}


def add_encodec_options(options: argparse.ArgumentParser) -> None:
    """What only EnCodec takes."""
    options.add_argument("--weights", help="EnCodec's, a file or folder; without it they are downloaded")
    options.add_argument("--sha256", help="what the weights' SHA-256 begins with (default: what their name says)")
    options.add_argument("--batch", type=positive_int, default=1, help="tracks side by side: 16 or more on a GPU")


def kmeans_name(source: TeacherSource) -> str:
    """What the labels of a K-means teacher are called, such as ``logmel_300`` or ``mert6_500``."""
    teacher = FeatureLabeller.load(source.path, source.make_features)
    return f"{teacher.features.name}_{teacher.codebook_sizes[0]}"


def label_jobs(options: argparse.Namespace, source: TeacherSource, name: str, numbered: bool) -> list[LabelJob]:
    """A job for each split."""
    label_dir = options.label_dir or options.data
    return [
        LabelJob(options.data / f"{split}.tsv", label_dir, name, source, options.format, numbered)
        for split in options.splits
    ]


def apply(options: argparse.Namespace, jobs: list[LabelJob]) -> dict[str, Any]:
    """Label all splits, here or as jobs, or one shard of each; gives the summary."""
    if options.launcher and options.shard:
        raise ValueError(f"--shard {options.shard} with --launcher: the launcher deals the shards; give --shards.")
    workers = asked_workers(options)
    shard = options.shard or Shard(0, 1)
    open_jobs = [job for job in jobs if not read_sidecar(job)]
    for job in open_jobs:
        refuse_early(job, options.shards if options.launcher else shard.count)
        job.label_dir.mkdir(parents=True, exist_ok=True)
    if options.launcher:
        label_launched(jobs, options.launcher, options.shards, workers, options.job_options)
        return merge(jobs)
    done = {job: run_shard(job, shard, workers) for job in open_jobs}
    if options.shard is None:
        return merge(jobs)
    if refused := [reason for summary in done.values() for reason in summary.refused.values()]:
        raise tracks_refused(f"shard {shard}", refused)
    return {
        job.split: {"shard": str(shard), "tracks": done[job].tracks} if job in done else merge_shards(job)
        for job in jobs
    }


def asked_workers(options: argparse.Namespace) -> int:
    """The processes to start where none were asked for: a core each, but one for a GPU.

    Raises:
        ValueError: if jobs go to other machines, whose cores are not known here.
    """
    if options.workers:
        return options.workers
    if options.launcher == "slurm":
        raise ValueError("--launcher slurm: expected --workers, the processes and cores of each job, such as 16.")
    # device_count asks the driver; is_available would start CUDA here, and no worker forked later could use it
    if options.teacher == ENCODEC and torch.cuda.device_count():
        return 1
    return default_workers()


def merge(jobs: list[LabelJob]) -> dict[str, Any]:
    """Merge the shards of all splits; gives the summary."""
    return {job.split: merge_shards(job) for job in jobs}


def run_label_command(prog: str, action: Callable[[], dict[str, Any]], as_json: bool) -> int:
    """Run apply or merge and print the summary; returns the exit status."""
    return run_command(prog, lambda: summary_text(action(), as_json, apply_line))


def summary_text(summary: dict[str, Any], as_json: bool, line: Callable[[Any], str]) -> str:
    """The summary as one JSON object or as text."""
    return json.dumps(summary) if as_json else line(summary)


def fit_line(summary: dict[str, Any]) -> str:
    """The summary of a fit as text."""
    return (
        f"{summary['teacher']}: {summary['codebooks']} x {summary['codes']} codes, fitted on "
        f"{summary['fitted_on_frames']} frames of {summary['fitted_on_hours']:.2f} h; "
        f"{summary['residual_share']:.1%} of the variance is left"
    )


def apply_line(summary: dict[str, Any]) -> str:
    """The summary of labelling as text, a line a split."""
    lines = []
    for split, done in summary.items():
        if "codebooks" in done:
            books = done["codebooks"]
            used = f"{min(b['used'] for b in books)} to {max(b['used'] for b in books)} of {books[0]['codes']}"
            perplexity = f"{min(b['perplexity'] for b in books):.1f} to {max(b['perplexity'] for b in books):.1f}"
            lines.append(
                f"{split}: {done['job']['tracks']} tracks, {done['hours']:.2f} h, {len(books)} codebooks, {used} codes "
                f"used, perplexity {perplexity}"
            )
        elif "shard" not in done:  # labels that were copied from elsewhere have no statistics
            lines.append(f"{split}: labels of {done['job']['tracks']} tracks are there")
        else:
            lines.append(f"{split}: shard {done['shard']}, {done['tracks']} tracks; merge when all shards are done")
    return "\n".join(lines)
