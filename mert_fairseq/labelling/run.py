"""Label one shard: worker processes make codes, this process keeps them."""

from functools import partial
from typing import Any, NamedTuple

from mert_fairseq.ingest.pool import Died, run_tasks
from mert_fairseq.labelling.job import LabelJob
from mert_fairseq.labelling.progress import AudioBar
from mert_fairseq.labelling.shards import Shard
from mert_fairseq.labelling.store import ShardStore
from mert_fairseq.labelling.track import Refused, TrackTask, label_track


class ShardSummary(NamedTuple):
    """What a run of a shard did."""

    tracks: int
    labelled: int  # in this run
    refused: dict[str, str]  # reasons by path
    hours: float  # of audio labelled in this run
    speed: float  # times real time


def run_shard(job: LabelJob, shard: Shard = Shard(0, 1), workers: int = 1) -> ShardSummary:  # noqa: B008
    """Label the tracks of a shard that have no codes yet.

    Args:
        job: what to label and how.
        shard: which part of the manifest.
        workers: processes; each takes a track at a time, the longest first.

    Raises:
        LabelJobError: if another job works on this shard, it was begun with other settings, or the disk is full.
        WorkerError: if a worker fails for a reason that is not the track's.
    """
    manifest, rate = job.manifest, job.teacher.sample_rate
    tracks = shard.tracks(manifest.samples)
    refused: dict[str, str] = {}
    with ShardStore(job.parts_dir, shard, job.identity, len(job.teacher.codebook_sizes)) as store:
        missing = sorted((t for t in tracks if t not in store.entries), key=lambda t: -int(manifest.samples[t]))
        tasks = (TrackTask(t, str(manifest.audio_path(t)), int(manifest.samples[t])) for t in missing)
        total = sum(int(manifest.samples[t]) for t in tracks) / rate
        left = sum(int(manifest.samples[t]) for t in missing) / rate
        bar = AudioBar(
            f"{job.split}.{job.name} {shard}" if shard.count > 1 else f"{job.split}.{job.name}", total, total - left
        )
        try:
            for task, answer in run_tasks(partial(label_track, job.source), tasks, workers):
                if reason := _refusal(task, answer):
                    store.refuse(task.track, reason)
                    refused[task.path] = reason
                else:
                    store.add(task.track, answer)
                bar.add(task.samples / rate, bool(reason))
        finally:
            bar.close()
    return ShardSummary(len(tracks), len(missing) - len(refused), refused, left / 3600, bar.speed)


def _refusal(task: TrackTask, answer: Any) -> str:
    if isinstance(answer, Died):
        return f"{task.path}: the process that decoded it ended with exit code {answer.exit_code}. Convert the file."
    return answer.reason if isinstance(answer, Refused) else ""
