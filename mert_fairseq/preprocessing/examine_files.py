"""Examine all files of a run in worker processes; what a killed run finished is not done again."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

from mert_fairseq.jobs.progress import AudioBar
from mert_fairseq.jobs.worker_pool import WorkerCrashed, run_tasks
from mert_fairseq.manifest import check_root
from mert_fairseq.preprocessing.examine_track import Settings, Track, examine
from mert_fairseq.preprocessing.integrity.reasons import REMEDIES, Reason
from mert_fairseq.preprocessing.journal import Journal


@dataclass(frozen=True)
class Progress:
    """The state of a run after a file: files and source bytes done and in all, seconds of audio, files refused."""

    files: int
    total_files: int
    done_bytes: int
    total_bytes: int
    seconds: float
    rejects: int


def check_settings(settings: Settings, workers: int) -> None:
    """Refuse options that cannot work before the hours of decoding.

    Raises:
        ValueError: naming the option.
    """
    for name, value in (("--workers", workers), ("--sample-rate", settings.sample_rate)):
        if value < 1:
            raise ValueError(f"{name} is {value}, expected a positive number.")
    if not 0 <= settings.limits.max_clipped_share <= 1:
        raise ValueError(f"--max-clipped-share is {settings.limits.max_clipped_share:g}, expected a share from 0 to 1.")


def resolve_folders(settings: Settings) -> Settings:
    """Absolute folders.

    Raises:
        ValueError: if the folder of converted files is, or holds, that of the sources, or if a manifest cannot hold the
            name of the folder that its paths will be relative to.
    """
    audio_dir = settings.audio_dir.resolve()
    check_root((settings.convert_to or audio_dir).resolve())
    if settings.convert_to is None:
        return replace(settings, audio_dir=audio_dir)
    convert_to = settings.convert_to.resolve()
    if convert_to == audio_dir or convert_to in audio_dir.parents:
        raise ValueError(
            f"--convert-to {convert_to} is, or holds, the folder of sources {audio_dir}, and converted files would mix "
            f"with them. Give another folder."
        )
    return replace(settings, audio_dir=audio_dir, convert_to=convert_to)


def examine_all(
    planned: list[Track], settings: Settings, journal: Journal, workers: int, report: Callable[[Progress], None]
) -> tuple[list[Track], int]:
    """All tracks with their outcome, in the order of their sources, and how many the journal knew."""
    done = {track.source.path: track for track in planned if track.reason}
    unjudged = [track for track in planned if not track.reason]
    known = journal.finished(unjudged)
    waiting = [track for track in unjudged if track.source.path not in known]
    waiting.sort(key=lambda track: (-track.source.size_bytes, track.source.path))  # so that no long file comes last
    done |= known
    progress = _Tally(planned, report)
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


class ExaminationBar(AudioBar):
    """The progress bar of the commands that examine files, over the bytes of the sources."""

    def __init__(self) -> None:
        super().__init__("examining", unit="B")

    def __call__(self, progress: Progress) -> None:
        files = f"{progress.files}/{progress.total_files} files"
        self.show(progress.done_bytes, progress.total_bytes, progress.seconds, progress.rejects, files)


class _Tally:
    """Adds up what is done for the progress display."""

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
