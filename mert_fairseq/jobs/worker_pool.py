"""Worker processes for files that may crash their decoder: a crashed worker loses its current task only.

Workers end with their parent, even if it is killed, so that no process of an earlier run writes to the same folders.
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
    """The result of a task whose worker ended: the exit code, negative for a signal."""

    exit_code: int | None


class Finished(NamedTuple):
    """The last result of a task of `stream_tasks`."""


class WorkerError(JobError):
    """A task raised an exception; the message contains the worker's traceback."""


class _Worker(NamedTuple):
    process: BaseProcess
    connection: Connection


def run_tasks(function: Callable[[Any], Any], tasks: Iterable[Any], workers: int) -> Iterator[tuple[Any, Any]]:
    """Apply ``function`` to each task in ``workers`` processes.

    Args:
        function: takes one task; a function of a module, or a partial of one.
        tasks: read one at a time. Put the longest first, so that none runs alone at the end.
        workers: processes, at least 1.

    Yields:
        (task, result) in the order in which they finish; the result is WorkerCrashed if the worker was killed or
        crashed.

    Raises:
        WorkerError: if the function raises.
    """
    return _schedule(function, tasks, workers, streams=False)


def stream_tasks(
    function: Callable[[Any], Iterable[Any]], tasks: Iterable[Any], workers: int
) -> Iterator[tuple[Any, Any]]:
    """Iterate over the items that ``function`` yields for each task, in ``workers`` processes.

    Args:
        function: takes one task; a generator function of a module, or a partial of one. It waits until an item is read,
            so that at most two items per worker are in memory.
        tasks: read one at a time.
        workers: processes, at least 1.

    Yields:
        (task, item), the items of each task in order; then (task, Finished()), or (task, WorkerCrashed) if the worker
        was killed or crashed.

    Raises:
        WorkerError: if the function raises.
    """
    return _schedule(function, tasks, workers, streams=True)


def _schedule(
    function: Callable[[Any], Any], tasks: Iterable[Any], workers: int, streams: bool
) -> Iterator[tuple[Any, Any]]:
    """Send tasks and receive results: one per task, or with ``streams`` any number and then Finished."""
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
                result = _receive(worker, task)
                if streams and not isinstance(result, Finished | WorkerCrashed):
                    busy[worker.connection] = worker, task
                elif not isinstance(result, WorkerCrashed):
                    idle.append(worker)
                yield task, result
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


def _receive(worker: _Worker, task: Any) -> Any:
    try:
        succeeded, result = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        worker.connection.close()
        return WorkerCrashed(worker.process.exitcode)
    if not succeeded:
        raise WorkerError(f"{task}: a worker failed. What is finished is kept; the worker's error was:\n{result}")
    return result


def _work(function: Callable[[Any], Any], connection: Connection, streams: bool) -> None:
    """The worker's loop: receive a task, send its results."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent handles it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _mute_standard_error()
    while True:
        task = connection.recv()
        try:
            if streams:
                for item in function(task):
                    connection.send((True, item))
            result = True, Finished() if streams else function(task)
        except Exception:  # the parent raises it
            result = False, traceback.format_exc()
        connection.send(result)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _mute_standard_error() -> None:
    """Hide the messages of the MP3 decoder, which would break the progress bar; real failures are raised as errors."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    os.close(sink)
