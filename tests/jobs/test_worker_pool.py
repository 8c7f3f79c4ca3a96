"""Workers that crash, raise, or lose their parent."""

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mert_fairseq.jobs.worker_pool import Finished, WorkerCrashed, WorkerError, run_tasks, stream_tasks


def square_or_die(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 100:
        raise ValueError("no hundred")
    return number * number


@pytest.mark.parametrize("workers", [1, 3])
def test_every_task_is_answered_once(workers: int) -> None:
    numbers = [number for number in range(40) if number != 3]
    assert sorted(run_tasks(square_or_die, numbers, workers)) == [(n, n * n) for n in numbers]


def test_a_crash_costs_its_own_task_only() -> None:
    answers = dict(run_tasks(square_or_die, range(8), 2))
    assert answers.pop(3) == WorkerCrashed(-signal.SIGKILL)
    assert answers == {n: n * n for n in range(8) if n != 3}


def test_an_exception_is_raised_with_the_workers_traceback() -> None:
    with pytest.raises(WorkerError, match=r"100: a worker failed(.|\n)*ValueError: no hundred"):
        list(run_tasks(square_or_die, [1, 100], 1))


def test_no_tasks_start_no_worker() -> None:
    assert list(run_tasks(square_or_die, [], 4)) == []


def count_or_die(number: int) -> Iterator[int]:
    yield from range(number)
    square_or_die(number)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_items_of_a_task_come_in_order_and_then_its_end(workers: int) -> None:
    answers: dict[int, list] = {}
    for task, answer in stream_tasks(count_or_die, [0, 2, 5, 4, 1], workers):
        answers.setdefault(task, []).append(answer)
    assert answers == {number: [*range(number), Finished()] for number in (0, 1, 2, 4, 5)}


def test_a_crash_after_some_items_ends_its_task_only() -> None:
    answers = list(stream_tasks(count_or_die, [3, 1], 1))
    assert answers == [(3, 0), (3, 1), (3, 2), (3, WorkerCrashed(-signal.SIGKILL)), (1, 0), (1, Finished())]


def test_an_exception_after_some_items_is_raised() -> None:
    with pytest.raises(WorkerError, match=r"100: a worker failed(.|\n)*ValueError: no hundred"):
        list(stream_tasks(count_or_die, [100], 1))


def test_a_worker_waits_until_its_items_are_taken(tmp_path: Path) -> None:
    stream = stream_tasks(functools.partial(big_items, tmp_path), ["a"], 1)
    next(stream)
    time.sleep(0.3)
    assert len(list(tmp_path.iterdir())) <= 3  # of 50: one taken, one in the pipe, one being made
    stream.close()


def big_items(folder: Path, name: str) -> Iterator[bytes]:
    for number in range(50):
        (folder / f"{name}{number}").touch()
        yield bytes(1 << 20)


PARENT = """
import os, sys, time
sys.modules["fairseq"] = None  # the pool needs none of it, and starting is quicker without
from mert_fairseq.jobs.worker_pool import run_tasks
def task(number):
    os.write(1, b"%d\\n" % os.getpid())  # one write: the workers share the pipe
    time.sleep(60)
list(run_tasks(task, [1, 2], 2))
"""


def test_workers_end_with_a_killed_parent(repo_root: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=repo_root)
    assert parent.stdout is not None
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(is_running(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(is_running(worker) for worker in workers)


def is_running(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
