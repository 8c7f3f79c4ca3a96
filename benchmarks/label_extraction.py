"""Label extraction: speed of EnCodec against its package, its chunks and memory, and residual K-means.

    python benchmarks/label_extraction.py [encodec] [chunks] [hour] [fit] [apply] [--folder DIR] [--json FILE]

Prints Markdown tables. Audio is synthetic (benchmarks/loading.py), 24 kHz FLAC. EnCodec has random weights and
codebooks of a fixed seed: speed and equality do not depend on training. "Ours" is a whole job, from starting two
one-thread workers to the merged label files. "Theirs" reads each file and encodes it whole, one after the other, with
the model loaded before and torch's default number of threads.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from loading import RATE, TRACK_SAMPLES, machine, pair_ratios, paired, ratio, write_audio
from ratios import write_pairs

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

FIT_HOURS, APPLY_CLIPS = 10.0, 120


def write_manifest(folder: Path, first: int, clips: int, times: int = 1) -> Path:
    """``clips`` tracks of 30 s from number ``first`` on, each ``times`` over; returns the manifest's path."""
    from mert_fairseq.manifest import Manifest

    names = [path.name for path in write_audio(folder / "flac", "flac", first + clips)[first:]] * times
    samples = np.full(len(names), TRACK_SAMPLES)
    Manifest(folder / "flac", names, samples, RATE).write(folder / "train.tsv")
    return folder / "train.tsv"


def label(manifest: Path, label_dir: Path, source: Any) -> float:
    """Run a whole job on two workers; returns its seconds."""
    from mert_fairseq.label_extraction import LabelJob, merge_parts, run_part

    shutil.rmtree(label_dir, ignore_errors=True)
    label_dir.mkdir()
    start = time.perf_counter()
    job = LabelJob(manifest, label_dir, "rvq", source, "packed")
    summary = run_part(job, workers=2)
    if summary.rejects:
        raise RuntimeError(str(summary.rejects))
    merge_parts(job)
    return time.perf_counter() - start


def save_weights(folder: Path) -> Path:
    from random_encodec import random_encodec

    path = folder / "encodec.th"
    torch.save(random_encodec().state_dict(), path)
    return path


def measure_encodec(folder: Path, runs: int, clips: int = 16) -> dict[str, list[float]]:
    """Time theirs, then ours, on new tracks for each pair; count the codes that differ."""
    from mert_fairseq.label_extraction import TeacherSource
    from mert_fairseq.labels import open_labels
    from mert_fairseq.teachers.encodec import load_encodec

    weights = save_weights(folder)
    source = TeacherSource("encodec", str(weights))
    model = load_encodec(weights)[0].eval()
    model.set_target_bandwidth(6.0)

    def encode(path: Path) -> np.ndarray:
        return whole_codes(model, soundfile.read(path, dtype="float32")[0])

    theirs, ours, differing, codes = [], [], 0, 0
    for run in range(runs):
        manifest = write_manifest(folder, run * clips, clips)
        paths = write_audio(folder / "flac", "flac", (run + 1) * clips)[run * clips :]
        encode(paths[0])  # warms up
        start = time.perf_counter()
        expected = [encode(path) for path in paths]
        theirs.append(time.perf_counter() - start)
        ours.append(label(manifest, folder / "labels", source))
        labels = open_labels(folder / "labels", "train", [f"rvq_{q}" for q in range(8)])
        differing += sum(int((labels.codes(track) != expected[track]).sum()) for track in range(clips))
        codes += sum(track.size for track in expected)
    seconds = clips * TRACK_SAMPLES / RATE
    print(
        f"| EnCodec, {runs} pairs of {clips} clips of 30 s | times real time | ratio, median (range) |\n|---|--:|--:|"
    )
    print(f"| EncodecModel.encode, {torch.get_num_threads()} threads | {seconds / statistics.median(theirs):.1f} | 1 |")
    print(f"| label job, 2 workers | {seconds / statistics.median(ours):.1f} | {ratio(theirs, ours)} |\n")
    print(f"{differing} of {codes} codes differ.\n")
    return {"EnCodec labels, 2 workers, against its package on 2 threads": pair_ratios(theirs, ours)}


def measure_chunks(folder: Path, runs: int) -> None:
    """Speed on one clip in one process, for several chunk lengths."""
    from mert_fairseq.teachers.encodec import EncodecTeacher, load_encodec

    weights = save_weights(folder)
    wave = soundfile.read(write_audio(folder / "flac", "flac", 1)[0], dtype="float32")[0]
    most_threads = torch.get_num_threads()
    found: dict[str, np.ndarray] = {}
    sides: dict[str, Callable[[], None]] = {}

    def add(name: str, threads: int, encode: Callable[[], np.ndarray]) -> None:
        def side() -> None:
            torch.set_num_threads(threads)
            found[name] = encode()

        sides[name] = side

    model = load_encodec(weights)[0].eval()
    model.set_target_bandwidth(6.0)
    for threads in (most_threads, 1):
        add(f"`EncodecModel.encode`, {threads} threads", threads, lambda: whole_codes(model, wave))
    for frames in (8, 75, 150, 300):
        teacher = EncodecTeacher(load_encodec(weights)[0], chunk_frames=frames)
        add(f"ours, 1 thread, chunks of {frames} frames", 1, lambda t=teacher: np.concatenate([*t.codes([wave])]))
    seconds = paired(sides, runs)
    torch.set_num_threads(most_threads)
    expected = next(iter(found.values()))
    print("| EnCodec, one clip of 30 s | times real time, median | codes that differ |\n|---|--:|--:|")
    for name, times in seconds.items():
        speed = TRACK_SAMPLES / RATE / statistics.median(times)
        print(f"| {name} | {speed:.1f} | {int((found[name] != expected).sum())} of {expected.size:,} |")
    print()


def whole_codes(model: Any, wave: np.ndarray) -> np.ndarray:
    """(frames, 8) codes of a track in one pass through the package."""
    with torch.inference_mode():
        return model.encode(torch.from_numpy(wave)[None, None])[0][0][0].T.numpy()


def measure_hour(folder: Path, runs: int) -> None:
    """Peak memory of the process that encodes a track of 1 minute, and of 1 hour."""
    weights = save_weights(folder)
    minute = np.concatenate([soundfile.read(path)[0] for path in write_audio(folder / "flac", "flac", 2)])
    print("| EnCodec, one track | peak MB of the process | codes |\n|---|--:|--:|")
    for name, minutes in (("1 minute", 1), ("1 hour", 60)):
        path = folder / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", RATE, 1) as file:
            for _ in range(minutes):
                file.write(minute)
        found = measured_process("hour-child", weights, path)
        print(f"| {name} | {found[0]} | {found[1]} |")
    print()


def encode_file(weights: Path, path: Path) -> None:
    """The child process of ``measure_hour``: encode one track as a worker does."""
    from mert_fairseq.label_extraction import TeacherSource
    from mert_fairseq.label_extraction.label_tracks import TrackTask, label_tracks

    task = TrackTask(0, str(path), soundfile.info(path).frames)
    codes = label_tracks(TeacherSource("encodec", str(weights)), [task])[0]
    print(peak_mb(), codes.shape[0] * codes.shape[1])


def measured_process(*words: object) -> list[str]:
    """The last line that a process of this script prints, and the peak MB of its largest worker."""
    command = [sys.executable, "-W", "ignore", __file__, *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    largest = 0
    while process.poll() is None:
        with suppress(OSError):  # a worker may end at any time
            for worker in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                largest = max(largest, peak_mb(worker))
        time.sleep(0.2)
    if process.returncode or process.stdout is None:
        raise RuntimeError(f"{' '.join(command)} failed")
    return [*process.stdout.read().splitlines()[-1].split(), str(largest)]


def peak_mb(process: str = "self") -> int:
    """Peak memory of a process in MB; ru_maxrss would include that of its parent."""
    status = Path(f"/proc/{process}/status").read_text()
    return round(int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6) if "VmHWM:" in status else 0


def measure_fit(folder: Path, runs: int) -> None:
    clips = 40
    write_manifest(folder, 0, clips, round(FIT_HOURS * 120) // clips)
    parent, frames, share, worker = measured_process("fit-child", folder)
    print("| residual K-means, 8 x 1024 codes, log-mel of 128 bands | |\n|---|--:|")
    print(f"| audio read | {FIT_HOURS:g} h ({clips} clips, repeated) |\n| frames clustered | {frames} |")
    print(f"| share of the variance that remains | {float(share):.1%} |")
    print(f"| peak MB of the process | {parent} |\n| peak MB of each of its 2 workers | {worker} |\n")


def fit(folder: Path) -> None:
    """The child process of ``measure_fit``."""
    from mert_fairseq.label_extraction import fit_teacher
    from mert_fairseq.teachers.features import FrameFeatures

    teacher = fit_teacher(folder / "train.tsv", FrameFeatures(), 8, 1024, hours=FIT_HOURS, workers=2)
    teacher.save(folder / "teacher.npz")
    print(peak_mb(), teacher.metadata["fitted_on_frames"], teacher.metadata["residual_share"])


def measure_apply(folder: Path, runs: int) -> None:
    """Speed of whole label jobs with residual K-means and with MERT-v0's two label sets."""
    from mert_fairseq.label_extraction import TeacherSource, fit_teacher
    from mert_fairseq.teachers.features import FrameFeatures

    clips = 40
    manifest = write_manifest(folder, 0, clips, APPLY_CLIPS // clips)
    hours = APPLY_CLIPS * TRACK_SAMPLES / RATE / 3600
    print(f"| K-means, label jobs of {hours:g} h on 2 workers | times real time, median (range) |\n|---|--:|")
    for kind, codebooks, codes in (("logmel", 8, 1024), ("logmel", 1, 300), ("chroma", 1, 200), ("mfcc", 1, 100)):
        path = folder / f"{kind}{codes}.npz"
        fit_teacher(manifest, FrameFeatures(kind), codebooks, codes, hours=0.2, max_frames=20_000, workers=2).save(path)
        source = TeacherSource(str(path))
        speeds = sorted(3600 * hours / label(manifest, folder / "labels", source) for _ in range(runs))
        print(
            f"| {kind}, {codebooks} x {codes} | {statistics.median(speeds):.0f} ({speeds[0]:.0f} to {speeds[-1]:.0f}) |"
        )
    print()


def main() -> None:
    measures: dict[str, Callable[[Path, int], dict[str, list[float]] | None]] = {
        "encodec": measure_encodec,
        "chunks": measure_chunks,
        "hour": measure_hour,
        "fit": measure_fit,
        "apply": measure_apply,
    }
    if sys.argv[1:2] == ["hour-child"]:
        return encode_file(Path(sys.argv[2]), Path(sys.argv[3]))
    if sys.argv[1:2] == ["fit-child"]:
        return fit(Path(sys.argv[2]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measurements", nargs="*", choices=[*measures, []], help="measurements to run (default: all)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the files here for the next run")
    parser.add_argument("--clips", type=int, default=16, help="of a pair of encodec")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the ratio of each pair")
    options = parser.parse_args()
    print(f"{machine()}, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}\n")
    measures["encodec"] = partial(measure_encodec, clips=options.clips)
    pairs: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.measurements or measures:
            folder = (options.folder or Path(temporary)) / name
            folder.mkdir(parents=True, exist_ok=True)
            pairs |= measures[name](folder, options.runs) or {}
    write_pairs(options.json, pairs)
    return None


if __name__ == "__main__":
    main()
