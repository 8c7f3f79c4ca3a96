"""One Slurm cluster for all tests of this folder, and jobs on it."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from local_slurm import LocalSlurm, missing, running
from tone_corpus import make_tone_corpus
from training.conftest import SMALL

WAIT_SECONDS = 240


@pytest.fixture(scope="session")
def slurm() -> Iterator[LocalSlurm]:
    """A cluster of two nodes with four CPUs each."""
    if problem := missing():
        pytest.skip(problem)
    with running() as cluster:
        cluster.environ |= {"OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{cluster.environ['PATH']}"}
        yield cluster


@pytest.fixture(scope="session")
def overrides(tmp_path_factory) -> list[str]:
    """A tiny model on eight tracks; an epoch has four updates on one rank, two on two ranks."""
    corpus = make_tone_corpus(tmp_path_factory.mktemp("corpus"))
    return [
        f"task.data={corpus}", *SMALL, "dataset.max_tokens=48000", "checkpoint.save_interval_updates=1000",
        "checkpoint.save_interval=9999",
    ]  # fmt: skip


@pytest.fixture
def wait(slurm) -> Callable[..., None]:
    """Wait until a condition is true; after the timeout, fail with the logs of the jobs."""

    def until(true: Callable[[], object], logs: Callable[[], str] = lambda: "") -> None:
        end = time.monotonic() + WAIT_SECONDS
        while not true():
            if time.monotonic() > end:
                jobs = slurm.call("scontrol", "show", "job", "-o", check=False)
                raise AssertionError(f"waited {WAIT_SECONDS} s\n{jobs}\n{logs()[-6000:]}")
            time.sleep(0.5)

    return until


class Job:
    """A batch job and its log."""

    def __init__(self, slurm: LocalSlurm, number: str, log: Path):
        self.slurm, self.number, self.log = slurm, number, log

    @property
    def output(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    @property
    def state(self) -> str:
        shown = self.slurm.call("scontrol", "show", "job", "-o", self.number)
        return re.findall(r"JobState=(\w+)", shown)[0]

    def ended(self) -> bool:
        return self.state in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED")


@pytest.fixture
def sbatch(slurm, repo_root, tmp_path) -> Callable[..., Job]:
    """Submit a batch job for CPUs from the checkout."""

    def submit(*arguments: str) -> Job:
        log = tmp_path / f"job{time.monotonic_ns()}.log"
        command = ["sbatch", "--parsable", "--gpus-per-node=0", "--mem=1G", f"--output={log}", *arguments]
        done = subprocess.run(command, cwd=repo_root, env=slurm.environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return Job(slurm, done.stdout.strip(), log)

    return submit
