"""The benchmark of a training update: what it pairs, and that it runs."""

import json
import subprocess
import sys

import pytest


@pytest.fixture
def update(benchmarks):
    import update

    return update


def test_rounds_alternate_their_order_and_the_first_is_not_measured(update):
    ran = []

    class Stub:
        def encoder(self) -> None:
            ran.append("encoder")

        def update(self) -> None:
            ran.append("update")

    seconds = update.measure(Stub(), ["update", "encoder"], rounds=3, clock=iter(range(100)).__next__)
    assert ran == ["encoder", "update", "update", "encoder", "encoder", "update", "update", "encoder"]
    assert seconds == {"update": [1, 1, 1], "encoder": [1, 1, 1]}  # the clock adds 1 whenever it is read


@pytest.mark.slow
def test_the_command_writes_the_ratio_of_each_round(repo_root, tmp_path):
    out = tmp_path / "pairs.json"
    options = ["--clips", "1", "--rounds", "2", "--sides", "encoder", "adam", "--json", str(out)]
    command = [sys.executable, str(repo_root / "benchmarks" / "update.py"), *options]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "| the bare encoder |" in text
    pairs = json.loads(out.read_text())
    assert list(pairs) == [
        "update of tiny against the bare encoder",
        "update of tiny against the update with fairseq's adam",
    ]
    assert all(len(found) == 2 and min(found) > 0 for found in pairs.values())
