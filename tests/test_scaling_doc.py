"""docs/scaling.md shows what its command prints."""

import subprocess
import sys


def test_the_tables_of_the_document_are_those_that_its_command_prints(repo_root):
    command = [sys.executable, str(repo_root / "benchmarks/scaling.py")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    document = (repo_root / "docs/scaling.md").read_text(encoding="utf-8")
    for table in printed.strip().split("\n\n"):
        assert table in document
