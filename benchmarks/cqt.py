"""Compares the CQT teacher with nnAudio's CQT: time, memory, operations, error.

    python benchmarks/cqt.py [--clips 8] [--seconds 5] [--runs 5] [--recording FILE] [--json FILE]

Each run has its own process, so that peak memory is measured separately; runs of the two sides alternate. The first
call includes the construction of kernels or plans. Errors are relative to the peak of nnAudio's result for the clip.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from ratios import write_pairs
from torch import Tensor

from mert_fairseq.audio import probe, read_span, resample_blocks
from mert_fairseq.teachers.cqt import CQTTeacher

RATE = 24_000
CALLS = {"nnaudio": 2, "fft": 10}  # calls after the first; the median is reported


def music(clips: int, seconds: float) -> Tensor:
    """Noise and a chord, different for each clip: (clips, samples) float32."""
    rng = torch.Generator().manual_seed(0)
    clock = torch.arange(int(seconds * RATE)) / RATE
    notes = 110 * 2 ** (torch.randint(0, 36, (clips, 3, 1), generator=rng) / 12)
    noise = torch.randn(clips, len(clock), generator=rng)
    return (0.2 * torch.sin(2 * torch.pi * notes * clock).sum(1) + 0.05 * noise).float()


def measure(backend: str, clips: int, seconds: float) -> dict[str, float]:
    """Seconds of the first and of a later call, and peak memory in MiB above the memory before the calls."""
    torch.set_num_threads(2)
    wave = music(clips, seconds)
    if backend == "nnaudio":
        import nnAudio.features.cqt  # noqa: F401  (import it before the first timed call)
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak after the imports and the synthesis
    before_kib = memory_kib("VmRSS")
    teacher = CQTTeacher(backend=backend)
    times = []
    for _ in range(1 + CALLS[backend]):
        start = time.perf_counter()
        teacher(wave)
        times.append(time.perf_counter() - start)
    return {
        "first": times[0],
        "later": statistics.median(times[1:]),
        "mib": (memory_kib("VmHWM") - before_kib) / 1024,
    }


def memory_kib(name: str) -> int:
    """Memory of this process in KiB: VmRSS is the current value, VmHWM the peak."""
    return int(Path("/proc/self/status").read_text().partition(f"{name}:")[2].split()[0])


def operations(seconds: float) -> dict[str, float]:
    """Floating-point operations per clip: nnAudio's two dense convolutions; our FFTs, weights and sums."""
    teacher = CQTTeacher()
    samples = int(seconds * RATE)
    frames = teacher.num_frames(samples)
    taps = 1 << int(np.ceil(np.log2(teacher.geometry.lengths.max())))
    plan = teacher.plan(samples, torch.device("cpu"))
    weights = sum(kernel.values.numel() for kernel in plan.bins)
    forward = 2.5 * plan.samples * np.log2(plan.samples)  # FFT of real samples
    inverse = len(plan.bins) * 5 * plan.frames * np.log2(plan.frames)
    return {"nnaudio": 2.0 * 2 * teacher.bins * taps * frames, "fft": forward + 4.0 * weights + inverse}


def signals(recording: str | None) -> dict[str, Tensor]:
    """Test signals by name, (1, samples) each."""
    clock = torch.arange(5 * RATE, dtype=torch.float64) / RATE
    sweep = torch.sin(2 * torch.pi * 30 * 5 / np.log(300) * (300 ** (clock / 5) - 1))
    found = {
        "sweep, 30 Hz to 9 kHz": sweep,
        "noise": 0.2 * torch.randn(len(clock), generator=torch.Generator().manual_seed(1)),
        "silence": torch.zeros(len(clock)),
    }
    if recording:
        rate = probe(recording).sample_rate
        span = read_span(recording, 20 * rate, 5 * rate, dtype="float32")
        wave = np.concatenate(list(resample_blocks([span], rate, RATE)))
        found = {"a recording": torch.from_numpy(wave)} | found
    return {name: wave.float()[None] for name, wave in found.items()}


def print_errors(recording: str | None) -> None:
    ours, reference = CQTTeacher(), CQTTeacher(backend="nnaudio")
    print("\n| signal, 5 s | largest error relative to the peak |\n|---|--:|")
    for name, wave in signals(recording).items():
        expected = reference(wave)
        peak = expected.max().item() or 1.0
        print(f"| {name} | {(ours(wave) - expected).abs().max().item() / peak:.1e} |")


def print_speed(clips: int, seconds: float, runs: int) -> dict[str, list[float]]:
    """Print the table of time and memory; returns the ratios of the pairs."""
    measured: dict[str, list[dict[str, float]]] = {"nnaudio": [], "fft": []}
    for _ in range(runs):
        for backend, results in measured.items():
            arguments = ["--child", backend, "--clips", str(clips), "--seconds", str(seconds)]
            child = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
            results.append(json.loads(child.stdout))
    gflop = {backend: count * clips / 1e9 for backend, count in operations(seconds).items()}
    print(f"\n{clips} clips of {seconds:g} s. Medians of {runs} paired runs.\n")
    print("| | seconds per call | first call | peak MiB | GFLOP |\n|---|--:|--:|--:|--:|")
    for backend, results in measured.items():
        later, first, mib = (statistics.median(one[key] for one in results) for key in ("later", "first", "mib"))
        print(f"| {backend} | {later:.3f} | {first:.2f} | {mib:.0f} | {gflop[backend]:.2f} |")
    cells, pairs = [], {}
    for key, what in (("later", "time"), ("first", "time of the first call"), ("mib", "memory")):
        ratios = [theirs[key] / ours[key] for theirs, ours in zip(measured["nnaudio"], measured["fft"], strict=True)]
        cells.append(f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")
        pairs[f"CQT against nnAudio, {what}"] = ratios
    print(f"| ratio, median (range) | {' | '.join(cells)} | {gflop['nnaudio'] / gflop['fft']:.0f} |")
    return pairs


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clips", type=int, default=8)
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--recording", help="an audio file of 25 s or more, for the errors")
    options.add_argument("--json", type=Path, metavar="FILE", help="write the ratio of each pair")
    options.add_argument("--child", choices=list(CALLS), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        print(json.dumps(measure(chosen.child, chosen.clips, chosen.seconds)))
        return
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "nnAudio"))
    print(f"{os.cpu_count()} cores of {platform.processor() or platform.machine()}, 2 threads, {versions}")
    write_pairs(chosen.json, print_speed(chosen.clips, chosen.seconds, chosen.runs))
    print_errors(chosen.recording)


if __name__ == "__main__":
    main()
