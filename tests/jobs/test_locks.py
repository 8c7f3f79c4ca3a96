"""File locks between processes."""

import subprocess
import sys

import pytest

from mert_fairseq.jobs.locks import FileLock, LockedError

HOLD = """
import sys
from pathlib import Path
from mert_fairseq.jobs.locks import FileLock
with FileLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "a.lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_lock_held_by_another_process_is_an_error_with_the_remedy(holder, tmp_path):
    with pytest.raises(LockedError, match=r"a\.lock is in use by another run\. Stop it\."):
        FileLock(tmp_path / "a.lock", "Stop it.").acquire()


def test_a_lock_is_free_once_its_holder_is_killed(holder, tmp_path):
    holder.kill()
    holder.wait()
    with FileLock(tmp_path / "a.lock"):
        pass


def test_a_lock_whose_file_was_removed_is_taken_on_the_new_file(holder, tmp_path):
    (tmp_path / "a.lock").unlink()
    with FileLock(tmp_path / "a.lock"):
        assert (tmp_path / "a.lock").exists()
