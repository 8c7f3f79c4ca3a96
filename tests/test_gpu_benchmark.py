"""benchmarks/gpu.py without a GPU: its tables from made-up results, its timeline, and the whole command on a CPU."""

import json
import subprocess
import sys
import time

import pytest


@pytest.fixture
def gpu(benchmarks):
    """The modules ``gpu``, ``gpu_tables`` and ``timeline`` of benchmarks/."""
    import gpu
    import gpu_tables
    import timeline

    gpu.tables, gpu.timeline = gpu_tables, timeline
    return gpu


def test_without_a_gpu_it_says_so_and_ends_with_status_1(gpu, monkeypatch, capsys):
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    assert gpu.main() == 1
    assert "this machine has no GPU that torch can use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989.0),
        ("NVIDIA H100 PCIe", 756.0),
        ("NVIDIA A100-SXM4-80GB", 312.0),
        ("NVIDIA GeForce RTX 4090", 165.0),
        ("CPU", None),
    ],
)
def test_the_peak_is_that_of_the_named_gpu(gpu, name, peak):
    assert gpu.peak_tflops(name) == peak


def test_time_inside_a_part_does_not_count_for_the_part_around_it(gpu, monkeypatch):
    clock = iter([0.0, 0.001, 0.003, 0.007, 0.015, 0.031])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    timeline = gpu.timeline.Timeline("cpu")
    timeline.mark("copies and rest")  # at 0: the start
    with timeline.part("heads"), timeline.part("CQT"):  # heads from 1 to 3 ms, CQT from 3 to 7
        pass  # heads again, from 7 to 15
    timeline.mark("optimizer")
    expected = {"copies and rest": 1.0, "heads": 2.0 + 8.0, "CQT": 4.0, "optimizer": 16.0}
    assert timeline.milliseconds() == pytest.approx(expected)


def _results(**changes):
    about = {"size": "tiny", "compile": "off", "optimizer": "fused_adamw", "precision": "bf16", "clips": 2}
    return {
        "machine": {"device": "a GPU"}, "seconds": 1.0, "parts": [], "extraction": [], "command_runs": [], "failed": [],
        "updates": [{**about, "ms": 10.0, "ms_least": 9.0, "ms_most": 12.0, "audio_seconds_per_second": 200.0,
                     "peak_gb": 1.5, "warm_up_seconds": 3.0}, {**about, "clips": 4, "error": "out of memory"}],
        **changes,
    }  # fmt: skip


def test_the_share_of_peak_is_the_counted_flops_over_time_and_peak(gpu):
    results = _results()
    gpu.tables.add_counts(results, 50.0)
    row = results["updates"][0]
    # by hand: 2 clips of 74 frames, 3 layers of 12 x 96^2 weights, 2 FLOP each, 3 times (forward, two gradients)
    assert row["tflop"] > 3 * 2 * 3 * 12 * 96**2 * 2 * 74 / 1e12
    assert row["share_of_peak"] == pytest.approx(row["tflop"] / 0.010 / 50.0)
    table = gpu.tables.tables(results)
    assert f"| tiny | bf16 | off | fused_adamw | 2 | 10.0 (9.0 to 12.0) | 200 | {row['tflops']:.4g} |" in table
    assert "| tiny | bf16 | off | fused_adamw | 4 | out of memory |" in table


def test_a_measurement_that_fails_is_reported_and_the_others_run(gpu, monkeypatch, tmp_path):
    def run(command, **options):
        failed = command[-2] == "parts"
        out = json.dumps({"kind": command[-2], "ms": 1.0, "audio_seconds_per_second": 1.0, "clips": 2})
        return subprocess.CompletedProcess(command, int(failed), out, "RuntimeError: no kernel")

    monkeypatch.setattr(gpu.subprocess, "run", run)
    chosen = gpu.options().parse_args(["--device", "cpu", "--sizes", "tiny", "--json", str(tmp_path / "gpu.json")])
    session = gpu.Session(chosen)
    session.run()
    written = json.loads((tmp_path / "gpu.json").read_text())
    assert {each["measurement"][0] for each in written["failed"]} == {"parts"}
    assert "no kernel" in written["failed"][0]["error"]
    assert [len(written[place]) for place in ("updates", "extraction", "command_runs")] == [4, 2, 1]


@pytest.mark.slow
def test_on_a_cpu_the_command_measures_everything(repo_root, tmp_path):
    command = "--device cpu --sizes tiny --compile layers --batches 1 2 --updates 1"
    command += " --windows 1 --window-seconds 2 --files 1 --file-seconds 3"
    out = tmp_path / "gpu.json"
    done = subprocess.run(
        [sys.executable, str(repo_root / "benchmarks/gpu.py"), *command.split(), "--json", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    assert {(row["compile"], row["optimizer"]) for row in results["updates"]} == {
        ("off", "fused_adamw"), ("layers", "fused_adamw"), ("off", "adam"),
    }  # fmt: skip
    assert all(row["ms"] > 0 for row in results["updates"])
    for row in results["parts"]:
        timed = {part for part, spent in row["parts_ms"].items() if spent > 0}
        assert timed == set(row["parts_ms"])  # every part was found, forward and backward
        assert len(row["kernels"]["longest"]) > 5
    bf16 = [row for row in results["extraction"] if row["bf16"]]
    assert all(0 < row["bf16_error"] < 0.1 for row in bf16)
    assert results["command_runs"][0]["hours"] == pytest.approx(3 / 3600, abs=1e-4)
    assert "| tiny |" in done.stdout
