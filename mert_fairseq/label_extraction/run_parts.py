"""Label the parts of a job: one part in this process, or all parts as an array of jobs through submitit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import submitit

from mert_fairseq.jobs.launcher import reset_signals_in_workers, run_array
from mert_fairseq.jobs.progress import AudioBar
from mert_fairseq.jobs.worker_pool import WorkerCrashed, run_tasks
from mert_fairseq.label_extraction.label_job import LabelJob
from mert_fairseq.label_extraction.label_tracks import Reject, TrackTask, label_tracks
from mert_fairseq.label_extraction.part_journal import Part
from mert_fairseq.label_extraction.part_store import PartStore
from mert_fairseq.label_extraction.preflight import check_before_start, finished_sidecar

Group = tuple[TrackTask, ...]
WHOLE = Part(0, 1)


class PartSummary(NamedTuple):
    """What one run of a part did."""

    tracks: int
    labelled: int  # in this run
    rejects: dict[str, str]  # reasons by path


def run_part(job: LabelJob, part: Part = WHOLE, workers: int = 1) -> PartSummary:
    """Label the tracks of a part that have no codes yet; does nothing if the labels of the job are finished.

    Args:
        job: what to label.
        part: which part of the manifest.
        workers: processes; each takes one group of tracks at a time, the longest tracks first.

    Raises:
        LabelJobError: if another process works on this part, the part was started with other settings, the disk is
            full, or the labels could not be made (see ``check_before_start``).
        WorkerError: if a worker fails and the cause is not a track.
    """
    if finished_sidecar(job):
        return PartSummary(len(part.tracks(job.manifest.samples)), 0, {})
    check_before_start(job, part.count)
    rate = job.teacher.sample_rate
    groups = track_groups(job, part)
    seconds = sum(task.samples for group in groups for task in group) / rate
    rejects: dict[str, str] = {}
    labelled = 0
    with PartStore(job.parts_dir, part, job.teacher_identity, len(job.teacher.codebook_sizes)) as store:
        missing = [group for group in groups if any(job.track_line(task.track) not in store.entries for task in group)]
        done = seconds - sum(task.samples for group in missing for task in group) / rate
        bar = AudioBar(f"{job.split}.{job.name}" + (f" {part}" if part.count > 1 else ""))
        bar.show(done, seconds, done)
        try:
            for task, result in _results(job, missing, workers):
                line = job.track_line(task.track)
                if isinstance(result, Reject):
                    store.reject(line, result.reason)
                    rejects[task.path] = result.reason
                elif line not in store.entries:
                    store.add(line, result)
                    labelled += 1
                done += task.samples / rate
                bar.show(done, seconds, done, len(rejects))
        finally:
            bar.close()
    return PartSummary(sum(map(len, groups)), labelled, rejects)


def track_groups(job: LabelJob, part: Part) -> list[Group]:
    """All tracks of the part, the longest first, in groups that the teacher encodes together.

    The groups do not depend on what is finished, so a resumed job computes the same batches as an uninterrupted one.
    """
    lengths = job.manifest.samples.tolist()
    order = sorted(part.tracks(job.manifest.samples), key=lambda track: -lengths[track])
    tasks = [TrackTask(track, str(job.manifest.audio_path(track)), lengths[track]) for track in order]
    size = job.source.batch
    return [tuple(tasks[at : at + size]) for at in range(0, len(tasks), size)]


def _results(job: LabelJob, groups: list[Group], workers: int) -> Iterator[tuple[TrackTask, Any]]:
    """Codes or Reject of each track; if a worker crashed, the tracks of its group are tried one by one."""
    label = partial(label_tracks, job.source)
    crashed: list[Group] = []
    for group, results in run_tasks(label, groups, workers):
        if isinstance(results, WorkerCrashed):
            crashed += [(task,) for task in group]
        else:
            yield from zip(group, results, strict=True)
    for (task,), results in run_tasks(label, crashed, 1):
        if isinstance(results, WorkerCrashed):
            yield task, Reject(f"{task.path}: decoding it ended the process with exit code {results.exit_code}.")
        else:
            yield task, results[0]


@dataclass(frozen=True)
class PartTask:
    """One job of the array: the same part of each split. After a requeue it continues where it stopped."""

    jobs: tuple[LabelJob, ...]
    part: Part
    workers: int

    def __call__(self) -> None:
        """Label; the merge reports tracks without codes."""
        reset_signals_in_workers()
        for job in self.jobs:
            run_part(job, self.part, self.workers)

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What submitit submits again after a timeout or preemption."""
        return submitit.helpers.DelayedSubmission(self)


def launch_parts(jobs: Sequence[LabelJob], launcher: str, parts: int, workers: int, job_options: Sequence[str]) -> None:
    """Label all parts as an array of jobs, and wait for them.

    Args:
        jobs: one per split, all with the same label folder; logs go to its subfolder label-jobs.
        launcher: "local" or "slurm".
        parts: jobs of the array.
        workers: processes per job.
        job_options: parameters of submitit as KEY=VALUE.

    Raises:
        JobError: if a job failed; the same command continues.
        ValueError: if a parameter is unknown.
    """
    unfinished = tuple(job for job in jobs if not finished_sidecar(job))
    if unfinished:
        tasks = [PartTask(unfinished, Part(index, parts), workers) for index in range(parts)]
        run_array(tasks, "labels", jobs[0].label_dir / "label-jobs", launcher, workers, job_options)
