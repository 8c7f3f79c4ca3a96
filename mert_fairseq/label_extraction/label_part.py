"""Label one shard: worker processes make codes, this process keeps them."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from mert_fairseq.jobs.progress import AudioBar
from mert_fairseq.jobs.worker_pool import WorkerCrashed, run_tasks
from mert_fairseq.label_extraction.label_job import LabelJob
from mert_fairseq.label_extraction.label_tracks import Refused, TrackTask, label_tracks
from mert_fairseq.label_extraction.part_store import ShardStore
from mert_fairseq.label_extraction.parts import Shard
from mert_fairseq.label_extraction.preflight import refuse_early

Group = tuple[TrackTask, ...]
WHOLE = Shard(0, 1)


class ShardSummary(NamedTuple):
    """What a run of a shard did."""

    tracks: int
    labelled: int  # in this run
    refused: dict[str, str]  # reasons by path


def run_shard(job: LabelJob, shard: Shard = WHOLE, workers: int = 1) -> ShardSummary:
    """Label the tracks of a shard that have no codes yet.

    Args:
        job: what to label and how.
        shard: which part of the manifest.
        workers: processes; each takes a group of tracks at a time, the longest first.

    Raises:
        LabelJobError: if another job works on this shard, it was begun with other settings, the disk is full, or the
            labels could not be made (refuse_early).
        WorkerError: if a worker fails for a reason that is not the track's.
    """
    refuse_early(job, shard.count)
    rate = job.teacher.sample_rate
    groups = track_groups(job, shard)
    seconds = sum(task.samples for group in groups for task in group) / rate
    refused: dict[str, str] = {}
    labelled = 0
    with ShardStore(job.parts_dir, shard, job.teacher_identity, len(job.teacher.codebook_sizes)) as store:
        missing = [group for group in groups if any(job.track_line(task.track) not in store.entries for task in group)]
        done = seconds - sum(task.samples for group in missing for task in group) / rate
        title = f"{job.split}.{job.name}" + (f" {shard}" if shard.count > 1 else "")
        bar = AudioBar(title)
        bar.show(done, seconds, done)
        try:
            for task, answer in _answers(job, missing, workers):
                line = job.track_line(task.track)
                if isinstance(answer, Refused):
                    store.refuse(line, answer.reason)
                    refused[task.path] = answer.reason
                elif line not in store.entries:
                    store.add(line, answer)
                    labelled += 1
                done += task.samples / rate
                bar.show(done, seconds, done, len(refused))
        finally:
            bar.close()
    return ShardSummary(sum(map(len, groups)), labelled, refused)


def track_groups(job: LabelJob, shard: Shard) -> list[Group]:
    """All tracks of the shard, the longest first, in groups that the teacher encodes side by side.

    They do not depend on what is done already, so that a resumed job rounds as an undisturbed one.
    """
    lengths = job.manifest.samples.tolist()
    order = sorted(shard.tracks(job.manifest.samples), key=lambda track: -lengths[track])
    tasks = [TrackTask(track, str(job.manifest.audio_path(track)), lengths[track]) for track in order]
    size = job.source.batch
    return [tuple(tasks[at : at + size]) for at in range(0, len(tasks), size)]


def _answers(job: LabelJob, groups: list[Group], workers: int) -> Iterator[tuple[TrackTask, Any]]:
    """Each track's codes or refusal; the members of a group whose worker died are tried one by one."""
    label = partial(label_tracks, job.source)
    crashed: list[Group] = []
    for group, answers in run_tasks(label, groups, workers):
        if isinstance(answers, WorkerCrashed):
            crashed += [(task,) for task in group]
        else:
            yield from zip(group, answers, strict=True)
    for (task,), answers in run_tasks(label, crashed, 1):
        if isinstance(answers, WorkerCrashed):
            yield task, Refused(f"{task.path}: decoding it ended the process with exit code {answers.exit_code}.")
        else:
            yield task, answers[0]
