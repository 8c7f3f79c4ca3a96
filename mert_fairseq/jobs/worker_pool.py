"""Worker processes for files that may kill their decoder: a worker that dies costs its one task, not the run.

Workers end with their parent, also when it is killed, so that the next run finds nobody writing to its folders.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple, cast

from mert_fairseq.jobs.command import JobError


class WorkerCrashed(NamedTuple):
    """The answer to a task whose worker ended: its exit code, negative for a signal."""

    exit_code: int | None


class Finished(NamedTuple):
    """The last answer to a task of `stream_tasks`: its worker is ready for the next one."""


class WorkerError(JobError):
    """A task raised: the message holds the worker's traceback."""


class _Worker(NamedTuple):
    process: BaseProcess
    connection: Connection


def run_tasks(function: Callable[[Any], Any], tasks: Iterable[Any], workers: int) -> Iterator[tuple[Any, Any]]:
    """Apply ``function`` to each task in ``workers`` processes.

    Args:
        function: of one task; a module's function or a partial of one.
        tasks: drawn one at a time; put the longest first, or one of them may run alone at the end.
        workers: processes, at least 1.

    Yields:
        (task, answer) as they finish; the answer is WorkerCrashed if the worker was killed or crashed.

    Raises:
        WorkerError: if the function raises.
    """
    return _exchange(function, tasks, workers, streams=False)


def stream_tasks(
    function: Callable[[Any], Iterable[Any]], tasks: Iterable[Any], workers: int
) -> Iterator[tuple[Any, Any]]:
    """Iterate over what ``function`` makes of each task, in ``workers`` processes.

    Args:
        function: of one task; a module's generator function or a partial of one. It waits until an item is taken, so
            that no more than an item or two of each worker are in memory.
        tasks: drawn one at a time.
        workers: processes, at least 1.

    Yields:
        (task, item) as they come, the items of a task in order, and at its end (task, Finished()), or
        (task, WorkerCrashed) if the worker was killed or crashed.

    Raises:
        WorkerError: if the function raises.
    """
    return _exchange(function, tasks, workers, streams=True)


def _exchange(
    function: Callable[[Any], Any], tasks: Iterable[Any], workers: int, streams: bool
) -> Iterator[tuple[Any, Any]]:
    """Give out tasks, take in answers: one per task, or with ``streams`` any number and then Finished."""
    waiting = iter(tasks)
    busy: dict[Connection, tuple[_Worker, Any]] = {}
    idle: list[_Worker] = []
    try:
        while True:
            while len(busy) < workers:
                try:
                    task = next(waiting)
                except StopIteration:
                    break
                worker = idle.pop() if idle else _start(function, streams)
                worker.connection.send(task)
                busy[worker.connection] = worker, task
            if not busy:
                return
            for connection in wait(list(busy)):
                worker, task = busy.pop(cast(Connection, connection))
                answer = _answer(worker, task)
                if streams and not isinstance(answer, Finished | WorkerCrashed):
                    busy[worker.connection] = worker, task
                elif not isinstance(answer, WorkerCrashed):
                    idle.append(worker)
                yield task, answer
    finally:
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            worker.process.terminate()
            worker.process.join()
            worker.connection.close()


def _start(function: Callable[[Any], Any], streams: bool) -> _Worker:
    context = multiprocessing.get_context()
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(function, theirs, streams), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _answer(worker: _Worker, task: Any) -> Any:
    try:
        succeeded, answer = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        worker.connection.close()
        return WorkerCrashed(worker.process.exitcode)
    if not succeeded:
        raise WorkerError(f"{task}: a worker failed. What is finished is kept; the worker's error was:\n{answer}")
    return answer


def _work(function: Callable[[Any], Any], connection: Connection, streams: bool) -> None:
    """The worker's loop: one task, then its answer or answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent deals with it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _mute_standard_error()
    while True:
        task = connection.recv()
        try:
            if streams:
                for item in function(task):
                    connection.send((True, item))
            answer = True, Finished() if streams else function(task)
        except Exception:  # passed on to the parent, which raises it
            answer = False, traceback.format_exc()
        connection.send(answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _mute_standard_error() -> None:
    """The MP3 decoder prints its complaints there, across the progress bar; what matters of them comes as an error."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    os.close(sink)
