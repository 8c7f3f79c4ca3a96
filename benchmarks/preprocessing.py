"""make_manifest: speed of two processes relative to one, and memory for a file of three hours.

    python benchmarks/preprocessing.py [speed] [memory] [--runs 5] [--folder DIR] [--json FILE]

Prints Markdown tables. Audio is synthetic (chords with noise bursts), really encoded. Each run is the command in a
process of its own; runs with one and with two processes alternate. The start-up time, measured on an empty folder, is
subtracted. Memory is the peak of resident pages, summed over the command and its worker; shared pages count twice.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile
from ratios import write_pairs

RATE = 44_100
SCRIPT = Path(__file__).resolve().parents[1] / "preprocess" / "make_manifest.py"
FORMATS = {".mp3": ("MP3", "MPEG_LAYER_III"), ".ogg": ("OGG", "VORBIS"), ".flac": ("FLAC", "PCM_16")}
FILES, FILE_SECONDS = 24, 60
LONG_HOURS = 3


def music(seconds: int, seed: int) -> np.ndarray:
    """(samples, 2) float32: two chords a second, and a noise burst on each, a little different in the channels."""
    draws = np.random.default_rng(seed)
    clock = np.arange(seconds * RATE) / RATE
    beat = clock % 0.5
    wave = 0.3 * draws.standard_normal(len(clock)) * np.exp(-40 * beat)
    for _ in range(3):
        notes = draws.integers(40, 76, 2 * seconds)[(clock * 2).astype(int)]
        phase = 2 * np.pi * np.cumsum(440 * 2 ** ((notes - 69) / 12)) / RATE
        wave += 0.2 * sum(np.sin(k * phase) / k**1.5 for k in range(1, 5)) * np.exp(-3 * beat)
    wave /= 1.2 * np.abs(wave).max()
    return np.stack([wave, 0.9 * np.roll(wave, 100)], axis=1).astype(np.float32)


def encode(path: Path, blocks: Iterable[np.ndarray]) -> None:
    kind, subtype = FORMATS[path.suffix]
    with soundfile.SoundFile(path, "w", RATE, 2, subtype, format=kind) as file:
        for block in blocks:
            for start in range(0, len(block), 4096):
                file.write(block[start : start + 4096])


def run(folder: Path, out: Path, workers: int) -> tuple[float, float, dict]:
    """Convert a folder from scratch; returns seconds, peak MiB, and the summary of the command."""
    shutil.rmtree(out, ignore_errors=True)
    options = ["--convert-to", str(out / "audio"), "--valid-fraction", "0", "--workers", str(workers), "--json"]
    started = time.perf_counter()
    command = [sys.executable, str(SCRIPT), str(folder), str(out), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        marks: dict[int, int] = {}
        while process.poll() is None:
            marks |= high_water_marks(process.pid)
            time.sleep(0.05)
        seconds = time.perf_counter() - started
        assert process.stdout is not None
        summary = process.stdout.read()
    return seconds, sum(marks.values()) / 1024, json.loads(summary or "{}")


def high_water_marks(process_id: int) -> dict[int, int]:
    """Peak KiB of a process and of each of its children."""
    marks = {}
    try:
        for task in Path(f"/proc/{process_id}/task").iterdir():
            for child in (task / "children").read_text().split():
                marks |= high_water_marks(int(child))
        for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                marks[process_id] = int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass  # the process has ended
    return marks


def measure_speed(folder: Path, runs: int) -> list[float]:
    audio = folder / "speed"
    audio.mkdir(exist_ok=True)
    for number in range(FILES):
        path = audio / f"{number}{list(FORMATS)[number % len(FORMATS)]}"
        if not path.exists():
            encode(path, [music(FILE_SECONDS, number)])
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    start = statistics.median(run(empty, folder / "out", 1)[0] for _ in range(3))
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(runs):
        for workers in seconds:
            elapsed, _, summary = run(audio, folder / "out", workers)
            if summary["tracks"] != {"train": FILES}:
                raise RuntimeError(f"not every file was converted: {summary}")
            seconds[workers].append(elapsed - start)
    ratios = [one / two for one, two in zip(seconds[1], seconds[2], strict=True)]
    print(
        f"\n{FILES} files of {FILE_SECONDS} s, 44.1 kHz stereo, a third each MP3, Vorbis and FLAC, to 24 kHz mono FLAC."
    )
    print(f"The start-up time of {start:.2f} s is subtracted. Medians of {runs} paired runs.\n")
    print("| processes | seconds | x real time |\n|---|--:|--:|")
    for workers, elapsed in seconds.items():
        middle = statistics.median(elapsed)
        print(f"| {workers} | {middle:.2f} | {FILES * FILE_SECONDS / middle:.0f} |")
    print(f"| ratio, median (range) | {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | |")
    return ratios


def measure_memory(folder: Path) -> None:
    print(f"\nOne file of {LONG_HOURS} h, 44.1 kHz stereo, one process.\n")
    print("| file | MiB with its worker |\n|---|--:|")
    minute = music(60, 0)
    for suffix in (".mp3", ".flac"):
        audio = folder / f"long{suffix}"
        audio.mkdir(exist_ok=True)
        path = audio / f"long{suffix}"
        if not path.exists():
            encode(path, (minute for _ in range(60 * LONG_HOURS)))
        _, memory, summary = run(audio, folder / "out", 1)
        if summary["hours"] != {"train": LONG_HOURS}:
            raise RuntimeError(f"the file was not converted in full: {summary}")
        name = f"{LONG_HOURS} h {suffix[1:]}, {path.stat().st_size / 1e6:.0f} MB"
        print(f"| {name} | {memory:.0f} |")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", nargs="*", default=["speed", "memory"], help="speed, memory")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--folder", type=Path, help="keeps the generated audio for later runs")
    options.add_argument("--json", type=Path, metavar="FILE", help="write the ratio of each pair")
    chosen = options.parse_args()
    folder = chosen.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    versions = ", ".join(f"{name} {version(name)}" for name in ("soundfile", "soxr", "numpy"))
    print(f"{os.cpu_count()} cores of {platform.processor() or platform.machine()}, {versions}")
    try:
        if "speed" in chosen.what:
            write_pairs(chosen.json, {"make_manifest, 2 processes against 1": measure_speed(folder, chosen.runs)})
        if "memory" in chosen.what:
            measure_memory(folder)
    finally:
        shutil.rmtree(folder if chosen.folder is None else folder / "out", ignore_errors=True)


if __name__ == "__main__":
    main()
