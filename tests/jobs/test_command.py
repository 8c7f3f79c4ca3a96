"""What every command prints and which exit status it returns."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from mert_fairseq.jobs.command import JobError, run_command
from mert_fairseq.jobs.worker_pool import WorkerError

ROOT = Path(__file__).resolve().parents[2]


def _raises(error):
    raise error


def test_a_command_prints_its_result(capsys):
    assert run_command("count", lambda: "3 tracks") == 0
    assert capsys.readouterr().out == "3 tracks\n"


@pytest.mark.parametrize("error", [ValueError("wrong"), OSError("wrong"), JobError("wrong"), WorkerError("wrong")])
def test_errors_of_users_go_to_standard_error_in_one_line(capsys, error):
    assert run_command("count", lambda: _raises(error)) == 1
    assert capsys.readouterr().err == "count: wrong\n"


def test_ctrl_c_says_what_the_same_command_does_next(capsys):
    assert run_command("count", lambda: _raises(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "count: interrupted; the same command continues where it stopped\n"


def test_programming_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command("count", lambda: str(1 // 0))


def test_a_closed_pipe_ends_a_command_quietly():
    script = "from mert_fairseq.jobs.command import run_command; exit(run_command('x', lambda: 'y\\n' * 100_000))"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"y\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_no_command_prints_results_without_minding_closed_pipes():
    found = []
    for folder in ("mert_fairseq", "preprocess"):
        for path in (ROOT / folder).rglob("*.py"):
            calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
            prints = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
            if any(all(keyword.arg != "file" for keyword in call.keywords) for call in prints):
                found.append(path.relative_to(ROOT).as_posix())
    assert found == ["mert_fairseq/jobs/command.py"]
