"""Freed memory of large tensors is reused: counted in page faults, in a process of its own."""

import os
import subprocess
import sys

import pytest

PAGES = 64 * 2**20 // 4096  # of a tensor of 64 MB

SCRIPT = """
import resource, sys
import torch
from mert_fairseq.distributed.cpu_memory import keep_freed_memory
print(keep_freed_memory() if sys.argv[1] == "keep" else None)
for _ in range(4):
    torch.ones(2**24)  # 64 MB, freed at once
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    torch.ones(2**24)  # 64 MB, freed at once
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 4)
"""


def _run(mode: str, **variables: str) -> tuple[str, int]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, mode]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment | variables)
    kept, faults = done.stdout.split()
    return kept, int(faults)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_a_large_tensor_reuses_the_pages_of_the_one_before():
    assert _run("default")[1] > 0.9 * PAGES  # the fault exists: every page is cleared for each tensor
    kept, faults = _run("keep")
    assert kept == "True"
    assert faults < 0.01 * PAGES


def test_the_users_own_settings_of_glibc_stay():
    kept, _ = _run("keep", MALLOC_ARENA_MAX="2")
    assert kept == "False"
