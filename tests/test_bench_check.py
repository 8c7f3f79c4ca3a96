"""benchmarks/check.py on benchmarks that write given ratios: which of them it accepts, and what it says."""

import json
import sys
from types import SimpleNamespace

import pytest

FAKE = "import json, sys; json.dump({pairs}, open(sys.argv[sys.argv.index('--json') + 1], 'w'))"


@pytest.fixture
def bench(benchmarks, monkeypatch, tmp_path):
    """``run(pairs, *options)``: the exit status with a benchmark ``fake`` that finds these ratios."""
    import check
    import ratios

    monkeypatch.setattr(check, "RECORDED", tmp_path / "ratios.json")
    monkeypatch.setattr(check, "COMMANDS", {"fake": str(tmp_path / "fake.py")})

    def run(pairs, *options):
        (tmp_path / "fake.py").write_text(FAKE.format(pairs=pairs) if isinstance(pairs, dict) else pairs)
        monkeypatch.setattr(sys, "argv", ["check.py", *options])
        return check.main()

    return SimpleNamespace(run=run, check=check, ratios=ratios, recorded=tmp_path / "ratios.json")


def test_a_recorded_ratio_is_the_median_with_its_range_command_machine_and_versions(bench):
    assert bench.run({"a": [4.0, 1.0, 2.0]}, "--record") == 0
    (found,) = json.loads(bench.recorded.read_text())
    assert (found["name"], found["ratio"], found["least"], found["most"]) == ("a", 2.0, 1.0, 4.0)
    assert found["command"].startswith("python ")
    assert found["command"].endswith("fake.py")
    assert "cores" in found["machine"]
    assert found["versions"]["torch"]


@pytest.mark.parametrize(("found", "status"), [(30.0, 0), (10.0, 0), (8.1, 0), (8.0, 1), (2.0, 1)])
def test_the_check_fails_exactly_when_a_ratio_of_10_falls_to_8_or_below(bench, capsys, found, status):
    bench.run({"a": [10.0], "b": [3.0]}, "--record")
    assert bench.run({"a": [found], "b": [3.0]}) == status
    assert ("a: found" in capsys.readouterr().err) == bool(status)


def test_the_message_says_what_was_found_and_expected_and_how_to_repeat_it(bench, capsys):
    bench.run({"a": [10.0]}, "--record")
    assert bench.run({"a": [5.0, 6.0, 7.0]}) == 1
    error = capsys.readouterr().err
    assert "a: found 6 (5 to 7), expected more than 8, as 10 is recorded: 40% less. Repeat it on a quiet" in error
    assert "another machine" not in error


def test_the_list_is_a_table_of_what_is_recorded(bench, capsys):
    bench.run({"a": [4.0, 1.0, 2.5]}, "--record")
    capsys.readouterr()
    assert bench.run({"a": [1.0]}, "--list") == 0
    row = capsys.readouterr().out.splitlines()[2]
    assert row.startswith("| a | 2.5 (1 to 4) | `python ")


def test_a_fall_on_another_machine_says_where_the_ratio_was_recorded(bench):
    before = bench.ratios.Ratio("a", 10.0, 9.0, 11.0, "python a.py", "64 cores of Z", {"torch": "2.0"})
    now = bench.ratios.from_pairs("a", [5.0], "python a.py")
    assert "recorded on another machine or with other versions: 64 cores of Z." in bench.ratios.fall(before, now)


def test_ratios_that_are_not_recorded_or_not_measured_any_more_are_errors(bench, capsys):
    bench.run({"old": [2.0]}, "--record")
    assert bench.run({"new": [2.0]}) == 1
    error = capsys.readouterr().err
    assert "new: not recorded yet. Record it with --record." in error
    assert "old: recorded, but python" in error


def test_a_benchmark_that_fails_is_an_error_and_keeps_the_record(bench, capsys):
    bench.run({"a": [2.0]}, "--record")
    assert bench.run("raise SystemExit('no such file')", "--record") == 1
    assert "fake: exit status 1: no such file" in capsys.readouterr().err
    assert bench.ratios.read(bench.recorded)["a"].ratio == 2.0


def test_the_recorded_ratios_of_the_repository_belong_to_commands_of_the_check(repo_root, bench):
    found = bench.ratios.read(repo_root / "benchmarks" / "ratios.json")
    source = (repo_root / "benchmarks" / "check.py").read_text()
    assert found
    for ratio in found.values():
        assert ratio.command.removeprefix("python ") in source
