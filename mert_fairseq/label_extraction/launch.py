"""Label jobs as an array through submitit: one job for each part of the manifest, then the merge."""

from collections.abc import Sequence
from dataclasses import dataclass

import submitit

from mert_fairseq.jobs.launcher import reset_signals_in_workers, run_array
from mert_fairseq.label_extraction.label_job import LabelJob
from mert_fairseq.label_extraction.label_part import run_shard
from mert_fairseq.label_extraction.merge import merge_shards
from mert_fairseq.label_extraction.parts import Shard
from mert_fairseq.label_extraction.sidecar import read_sidecar


@dataclass(frozen=True)
class LabelShard:
    """One job of the array: a part of each split. After a requeue it continues where it was stopped."""

    jobs: tuple[LabelJob, ...]
    shard: Shard
    workers: int

    def __call__(self) -> None:
        """Label; the merge reports tracks that have no codes."""
        reset_signals_in_workers()
        for job in self.jobs:
            if not read_sidecar(job):
                run_shard(job, self.shard, self.workers)

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What submitit submits again after a time-out or preemption."""
        return submitit.helpers.DelayedSubmission(self)


def label_launched(jobs: Sequence[LabelJob], launcher: str, shards: int, workers: int, pairs: Sequence[str]) -> None:
    """Label all parts as jobs, wait for them, and merge.

    Args:
        jobs: a split each, all with the same label folder; logs go to its folder label-jobs.
        launcher: "local" or "slurm".
        shards: jobs of the array.
        workers: processes of each.
        pairs: submitit's parameters as KEY=VALUE.

    Raises:
        JobError: if a job failed, or a track has no codes; the same command continues.
        ValueError: if a parameter is unknown.
    """
    open_jobs = tuple(job for job in jobs if not read_sidecar(job))
    if open_jobs:
        tasks = [LabelShard(open_jobs, Shard(i, shards), workers) for i in range(shards)]
        run_array(tasks, "labels", jobs[0].label_dir / "label-jobs", launcher, workers, pairs)
    for job in open_jobs:
        merge_shards(job)
