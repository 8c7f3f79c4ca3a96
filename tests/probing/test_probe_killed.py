"""A mert-probe all that is killed goes on when it is started again, and ends with the same results."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

SECONDS = 240  # until the killed run must have got so far


OPTIONS = "--protocol quick --max-epochs 8 --seeds 2 --layers 0 --quiet --device cpu"


def command(data, out):
    call = ["all", "--model", "mfcc", "chroma", "--data", str(data), "--out", str(out), *OPTIONS.split()]
    return [sys.executable, "-m", "mert_fairseq.probing.cli", *call]


def files(out):
    return {path.relative_to(out): path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("until", ["*/mfcc/groups/group_000.npz", "rendered-chords/mfcc/results.json"])
def test_a_killed_run_of_all_goes_on_and_ends_with_the_same_results(until, tree, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("key", "dance", "notes"):  # other tests put more data sets beside these
        (data / name).symlink_to(tree(name))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command(data, whole), env=environment, check=True, capture_output=True)
    run = subprocess.Popen(command(data, killed), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + SECONDS
    while not any(killed.glob(until)):
        assert run.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not (killed / "results.json").exists()
    finished = {path: time for path, time in files(killed).items() if path.name in ("results.json", "index.json")}
    again = subprocess.run(command(data, killed), env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert files(killed).items() >= finished.items()  # what was finished is not made again
    assert json.loads((killed / "results.json").read_text()) == json.loads((whole / "results.json").read_text())
