"""Examine all files of a run in worker processes, except those in the journal of an earlier run."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

from mert_fairseq.jobs.worker_pool import WorkerCrashed, run_tasks
from mert_fairseq.preprocessing.examine_track import Settings, Track, examine
from mert_fairseq.preprocessing.reject_reasons import REMEDIES, Reason
from mert_fairseq.preprocessing.track_journal import Journal


@dataclass(frozen=True)
class Progress:
    """The state of a run.

    Attributes:
        files: done.
        total_files: of the run.
        done_bytes: of the sources done.
        total_bytes: of all sources.
        seconds: of audio done.
        rejects: files rejected.
    """

    files: int
    total_files: int
    done_bytes: int
    total_bytes: int
    seconds: float
    rejects: int


def examine_all(
    planned: list[Track], settings: Settings, journal: Journal, workers: int, report: Callable[[Progress], None]
) -> tuple[list[Track], int]:
    """Examine the planned tracks.

    Args:
        planned: tracks to examine; those with a reason are rejects already.
        settings: of the examination.
        journal: results of an earlier run; gets the new ones.
        workers: processes.
        report: called after each file.

    Returns:
        The examined tracks in the order of ``planned``, and how many of them were in the journal.
    """
    done = {track.source.path: track for track in planned if track.reason}
    unexamined = [track for track in planned if not track.reason]
    known = journal.finished(unexamined)
    waiting = [track for track in unexamined if track.source.path not in known]
    # largest first, so that no long file runs alone at the end
    waiting.sort(key=lambda track: (-track.source.size_bytes, track.source.path))
    done |= known
    progress = _ProgressCounter(planned, report)
    for track in done.values():
        progress.add(track)
    progress.show()
    tasks = ((track.source, track.destination) for track in waiting)
    for (source, destination), answer in run_tasks(functools.partial(examine, settings=settings), tasks, workers):
        if isinstance(answer, WorkerCrashed):
            detail = f"exit code {answer.exit_code} while decoding; {REMEDIES[Reason.DECODER_DIED]}"
            answer = Track(source, destination, Reason.DECODER_DIED, detail)
        journal.add(answer)
        done[source.path] = answer
        progress.add(answer)
        progress.show()
    return [done[track.source.path] for track in planned], len(known)


class _ProgressCounter:
    """Counts finished files for the progress report."""

    def __init__(self, planned: list[Track], report: Callable[[Progress], None]) -> None:
        self.report = report
        self.state = Progress(0, len(planned), 0, sum(track.source.size_bytes for track in planned), 0.0, 0)

    def add(self, track: Track) -> None:
        self.state = replace(
            self.state,
            files=self.state.files + 1,
            done_bytes=self.state.done_bytes + track.source.size_bytes,
            seconds=self.state.seconds + track.seconds,
            rejects=self.state.rejects + (track.reason is not None),
        )

    def show(self) -> None:
        self.report(self.state)
