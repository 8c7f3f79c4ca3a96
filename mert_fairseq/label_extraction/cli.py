"""Options and subcommands that the label commands share: fit, apply and merge."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mert_fairseq.arguments import Help, default_workers, positive_float, positive_int
from mert_fairseq.jobs.command import FROM_THE_BEGINNING, run_command
from mert_fairseq.jobs.launcher import add_launch_options
from mert_fairseq.label_extraction.fit import fit_teacher
from mert_fairseq.label_extraction.label_job import ENCODEC, FORMATS, LabelJob, TeacherSource, rejects_error
from mert_fairseq.label_extraction.merge import merge_parts
from mert_fairseq.label_extraction.part_journal import Part
from mert_fairseq.label_extraction.preflight import check_before_start, finished_sidecar, replaced_teacher
from mert_fairseq.label_extraction.run_parts import launch_parts, run_part
from mert_fairseq.teachers.code_teachers import Features, KMeansTeacher
from mert_fairseq.teachers.features import DEFAULT_WIDTH, FrameFeatures


def add_fit_options(options: argparse.ArgumentParser, more_features: tuple[str, ...] = ()) -> None:
    """Add the options of fit, except the numbers of codebooks and codes."""
    options.add_argument("data", type=Path, help="folder of {split}.tsv")
    options.add_argument("--teacher", type=Path, required=True, metavar="NPZ", help="file to write")
    options.add_argument("--split", default="train", help="split to fit on")
    options.add_argument(
        "--features", choices=(*DEFAULT_WIDTH, *more_features), default="logmel", help="features to cluster"
    )
    options.add_argument(
        "--width", type=int, default=0, help="number of mel bands, cepstra or chroma bins; 0: 128, 13 or 12"
    )
    options.add_argument("--sample-rate", type=positive_int, default=24_000, help="of the audio, in Hz")
    options.add_argument("--label-rate", type=positive_float, default=75, help="codes per second")
    options.add_argument("--hours", type=positive_float, default=10.0, help="read at most this much audio, at random")
    options.add_argument("--max-frames", type=positive_int, default=200_000, help="cluster at most this many frames")
    options.add_argument("--seed", type=int, default=0, help="of the drawn audio and the initial centroids")
    options.add_argument(
        "--workers", type=positive_int, default=default_workers(), help="processes (default: the available cores)"
    )
    options.add_argument("--json", action="store_true", help="print the summary as one JSON object")


def add_merge_options(options: argparse.ArgumentParser) -> None:
    """Add the options that apply and merge share: which labels of which tracks."""
    options.add_argument("data", type=Path, help="folder of {split}.tsv")
    options.add_argument("--teacher", required=True, help="the .npz that fit wrote, or encodec")
    options.add_argument(
        "--splits", nargs="+", default=["train", "valid"], help="dictionaries count the split that is labelled first"
    )
    options.add_argument("--label-dir", type=Path, help="folder of the labels (default: data)")
    options.add_argument("--name", help="name of the labels")
    options.add_argument("--format", choices=FORMATS, default="text", help="packed is better above some 100 h")
    options.add_argument("--json", action="store_true", help="print the summary as one JSON object")


def add_apply_options(options: argparse.ArgumentParser) -> None:
    """Add the options of apply."""
    add_merge_options(options)
    options.add_argument(
        "--shard", type=part_option, metavar="i/n", help="label only part i of n parts, from 0; merge later"
    )
    add_launch_options(options)
    options.add_argument(
        "--workers", type=positive_int, help="processes (default: one per core, or 1 for encodec on a GPU)"
    )


def add_label_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> list[argparse.ArgumentParser]:
    """Add apply and merge; returns their parsers, so that a command can add its own options."""
    apply = verbs.add_parser("apply", help="label", formatter_class=Help)
    add_apply_options(apply)
    merge = verbs.add_parser("merge", help="merge the parts of apply --shard", formatter_class=Help)
    add_merge_options(merge)
    return [apply, merge]


def part_option(text: str) -> Part:
    """Read i/n. argparse shows the message of an ArgumentTypeError, but not that of a ValueError."""
    try:
        return Part.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def frame_features(options: argparse.Namespace) -> FrameFeatures:
    """The log-mel, MFCC or chroma features that the options select."""
    return FrameFeatures(options.features, options.sample_rate, options.label_rate, options.width)


def fit(prog: str, options: argparse.Namespace, features: Callable[[], Features], codebooks: int, codes: int) -> int:
    """Fit a teacher, save it, print a summary or the error; returns the exit status."""
    return run_command(
        prog,
        lambda: summary_text(_fit(options, features(), codebooks, codes), options.json, fit_line),
        f"nothing was saved, and {FROM_THE_BEGINNING}",
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
    return {"teacher": str(options.teacher), "codebooks": codebooks, "codes": codes, **teacher.metadata}


def add_encodec_options(options: argparse.ArgumentParser) -> None:
    """Add the options that only EnCodec needs."""
    options.add_argument("--weights", help="of EnCodec, a file or folder (default: download them)")
    options.add_argument("--sha256", help="how the SHA-256 of the weights must begin (default: as in the file name)")
    options.add_argument("--batch", type=positive_int, default=1, help="tracks encoded at once: 16 or more on a GPU")


def kmeans_name(source: TeacherSource) -> str:
    """The default label name of a K-means teacher, such as ``logmel_300`` or ``mert6_500``."""
    teacher = KMeansTeacher.load(source.path, source.make_features)
    return f"{teacher.features.name}_{teacher.codebook_sizes[0]}"


def label_jobs(options: argparse.Namespace, source: TeacherSource, name: str, numbered: bool) -> list[LabelJob]:
    """One job per split."""
    label_dir = options.label_dir or options.data
    return [
        LabelJob(options.data / f"{split}.tsv", label_dir, name, source, options.format, numbered)
        for split in options.splits
    ]


def apply(options: argparse.Namespace, jobs: list[LabelJob]) -> dict[str, Any]:
    """Label all splits, here or as an array of jobs, or one part of each; returns the summary."""
    if options.launcher and options.shard:
        raise ValueError(
            f"--shard {options.shard} with --launcher: found both, expected one: the launcher runs all parts. Give "
            f"their number with --shards."
        )
    workers = num_workers(options)
    part = options.shard or Part(0, 1)
    unfinished = [job for job in jobs if not finished_sidecar(job)]
    for job in unfinished:
        check_before_start(job, options.shards if options.launcher else part.count)
        job.label_dir.mkdir(parents=True, exist_ok=True)
        if replaced := replaced_teacher(job):
            path = job.label_dir / f"{job.split}.{job.name}"
            print(f"{path}: the labels and dictionaries of {replaced} will be replaced.", file=sys.stderr)
    if options.launcher:
        launch_parts(jobs, options.launcher, options.shards, workers, options.job_options)
        return merge(jobs)
    done = {job: run_part(job, part, workers) for job in unfinished}
    if options.shard is None:
        return merge(jobs)
    if rejects := [reason for summary in done.values() for reason in summary.rejects.values()]:
        raise rejects_error(f"part {part}", rejects)
    return {
        job.split: {"shard": str(part), "tracks": done[job].tracks} if job in done else merge_parts(job) for job in jobs
    }


def num_workers(options: argparse.Namespace) -> int:
    """The number of processes: as given, else one per core, or one for EnCodec on a GPU.

    Raises:
        ValueError: if jobs go to other machines, whose number of cores is unknown here.
    """
    if options.workers:
        return options.workers
    if options.launcher == "slurm":
        raise ValueError("--launcher slurm: expected --workers, the processes and cores of each job, such as 16.")
    # device_count asks the driver; is_available would start CUDA here, and workers forked later could not use it
    if options.teacher == ENCODEC and torch.cuda.device_count():
        return 1
    return default_workers()


def merge(jobs: list[LabelJob]) -> dict[str, Any]:
    """Merge the parts of all splits; returns the summary."""
    return {job.split: merge_parts(job) for job in jobs}


def run_label_command(prog: str, action: Callable[[], dict[str, Any]], as_json: bool) -> int:
    """Run apply or merge and print the summary; returns the exit status."""
    return run_command(prog, lambda: summary_text(action(), as_json, apply_line))


def summary_text(summary: dict[str, Any], as_json: bool, line: Callable[[Any], str]) -> str:
    """The summary as one JSON object or as text."""
    return json.dumps(summary) if as_json else line(summary)


def fit_line(summary: dict[str, Any]) -> str:
    """The summary of fit as text."""
    return (
        f"{summary['teacher']}: {summary['codebooks']} x {summary['codes']} codes, fitted on "
        f"{summary['fitted_on_frames']} frames of {summary['fitted_on_hours']:.2f} h; "
        f"{summary['residual_share']:.1%} of the variance remains"
    )


def apply_line(summary: dict[str, Any]) -> str:
    """The summary of apply or merge as text, one line per split."""
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
            lines.append(f"{split}: labels of {done['job']['tracks']} tracks exist")
        else:
            lines.append(f"{split}: part {done['shard']}, {done['tracks']} tracks; merge when all parts are done")
    return "\n".join(lines)
