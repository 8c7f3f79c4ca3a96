"""Loading: crops compared with whole files, the data set with fairseq's HubertDataset, and opening a million tracks.

    python benchmarks/loading.py [crops] [dataset] [open] [padding] [--runs 5] [--folder DIR] [--json FILE]

Prints Markdown tables. Audio is synthetic (chords with vibrato, noise bursts): 30 s, 24 kHz, mono. One process, one
thread, files in the page cache. The sides of a comparison alternate on the same tracks; each ratio is of one pair.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from ratios import write_pairs

RATE, LABEL_RATE_HZ, CODEBOOKS, CODES = 24_000, 75.0, 8, 1024
TRACK_SAMPLES, CROP_SAMPLES = 30 * RATE, 5 * RATE
FORMATS = {"wav": {}, "flac": {}, "ogg": {}, "opus": {"format": "OGG", "subtype": "OPUS"}, "mp3": {}}
COLUMNS = [f"rvq_{book}" for book in range(CODEBOOKS)]
OURS = ("MERTDataset, text labels", "MERTDataset, packed labels")


def music(seed: int) -> np.ndarray:
    """(TRACK_SAMPLES,) float32: two chords per second with overtones and vibrato, each with a noise burst."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(TRACK_SAMPLES) / RATE
    beat = seconds % 0.5
    wave = np.zeros(TRACK_SAMPLES)
    for _ in range(3):
        notes = rng.integers(40, 76, 60)[(seconds * 2).astype(int)]
        phase = 2 * np.pi * np.cumsum(440 * 2 ** ((notes - 69) / 12) * (1 + 0.004 * np.sin(35 * seconds))) / RATE
        wave += sum(np.sin(k * phase) / k**1.5 for k in range(1, 7)) * np.exp(-3 * beat)
    wave += 0.5 * rng.standard_normal(TRACK_SAMPLES) * np.exp(-40 * beat)
    return (0.2 * wave).astype(np.float32)


def write_audio(folder: Path, name: str, tracks: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{track:03d}.{name}" for track in range(tracks)]
    for track, path in enumerate(paths):
        if not path.exists():
            soundfile.write(path, music(track), RATE, **FORMATS[name])
    return paths


def paired(sides: dict[str, Callable[[], None]], runs: int) -> dict[str, list[float]]:
    """Seconds of each side. The sides alternate; the first round is for warm-up and not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for run in range(runs + 1):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            if run:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def pair_ratios(slow: list[float], fast: list[float]) -> list[float]:
    return [a / b for a, b in zip(slow, fast, strict=True)]


def ratio(slow: list[float], fast: list[float]) -> str:
    ratios = pair_ratios(slow, fast)
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"


def measure_crops(
    folder: Path, runs: int, tracks: int = 24, formats: Sequence[str] = tuple(FORMATS)
) -> dict[str, list[float]]:
    from mert_fairseq.audio import read_span

    found = {}
    starts = np.random.default_rng(0).integers(0, TRACK_SAMPLES - CROP_SAMPLES, tracks).tolist()
    print("| format | crops/s | times whole files as int16, median (range) | times whole files as float64 |")
    print("|---|--:|--:|--:|")
    for name in formats:
        paths = write_audio(folder / name, name, tracks)

        def whole(dtype: str, paths: list[Path] = paths) -> None:
            for path, start in zip(paths, starts, strict=True):
                soundfile.read(path, dtype=dtype)[0][start : start + CROP_SAMPLES].copy()

        def crop(paths: list[Path] = paths) -> None:
            for path, start in zip(paths, starts, strict=True):
                read_span(path, start, CROP_SAMPLES)

        seconds = paired({"int16": partial(whole, "int16"), "float64": partial(whole, "float64"), "crop": crop}, runs)
        ratios = [ratio(seconds[dtype], seconds["crop"]) for dtype in ("int16", "float64")]
        print(f"| {name} | {tracks / statistics.median(seconds['crop']):.0f} | {ratios[0]} | {ratios[1]} |")
        found[f"a crop of 5 s, {name}, against the whole file"] = pair_ratios(seconds["int16"], seconds["crop"])
    print()
    return found


def write_corpus(folder: Path, tracks: int) -> None:
    from mert_fairseq.labels import PackedWriter, TextWriter, write_dictionary
    from mert_fairseq.manifest import Manifest

    paths = write_audio(folder / "flac", "flac", tracks)
    names = [path.name for path in paths]
    codes = np.random.default_rng(0).integers(0, CODES, (tracks, 2250, CODEBOOKS))
    manifest = Manifest(folder / "flac", names, np.full(tracks, TRACK_SAMPLES), RATE)
    for form in ("text", "packed"):
        (folder / form).mkdir(exist_ok=True)
        manifest.write(folder / form / "train.tsv")
        writer = (
            TextWriter(folder / form, "train", COLUMNS)
            if form == "text"
            else PackedWriter(folder / form / "train.rvq", COLUMNS)
        )
        with writer as labels:
            for track in codes:
                labels.append(track)
        for column in COLUMNS:
            write_dictionary(folder / form / f"dict.{column}.txt", [1] * CODES)


def hubert_dataset(folder: Path):
    from fairseq.data import Dictionary, HubertDataset
    from fairseq.tasks.hubert_pretraining import LabelEncoder

    dictionaries = [Dictionary.load(str(folder / f"dict.{name}.txt")) for name in COLUMNS]
    return HubertDataset(
        str(folder / "train.tsv"), sample_rate=RATE, label_paths=[str(folder / f"train.{name}") for name in COLUMNS],
        label_rates=LABEL_RATE_HZ, pad_list=[d.pad() for d in dictionaries], eos_list=[d.eos() for d in dictionaries],
        label_processors=[LabelEncoder(d) for d in dictionaries], max_sample_size=CROP_SAMPLES, pad_audio=False,
        store_labels=False, random_crop=True,
    )  # fmt: skip


def mert_dataset(folder: Path):
    from fairseq import tasks
    from omegaconf import OmegaConf

    from mert_fairseq.tasks.pretraining_config import MERTPretrainingConfig

    task = tasks.setup_task(
        OmegaConf.merge(
            OmegaConf.structured(MERTPretrainingConfig),
            {
                "_name": "mert_pretraining", "data": str(folder), "labels": COLUMNS, "label_rate": LABEL_RATE_HZ,
                "sample_rate": RATE, "max_sample_size": CROP_SAMPLES, "seed": 1, "train_subset": "train",
            },
        )
    )  # fmt: skip
    task.load_dataset("train")
    return task.dataset("train")


def measure_dataset(folder: Path, runs: int, tracks: int = 24, batch: int = 8) -> dict[str, list[float]]:
    import torch

    torch.set_num_threads(1)
    write_corpus(folder, tracks)
    sets = {
        "fairseq HubertDataset, text labels": hubert_dataset(folder / "text"),
        OURS[0]: mert_dataset(folder / "text"),
        OURS[1]: mert_dataset(folder / "packed"),
    }

    def batches(data) -> None:
        for first in range(0, tracks, batch):
            data.collater([data[index] for index in range(first, first + batch)])

    seconds = paired({name: (lambda data=data: batches(data)) for name, data in sets.items()}, runs)
    fairseq_seconds = next(iter(seconds.values()))
    print("| data set | samples/s | times fairseq's, median (range) |\n|---|--:|--:|")
    for name, spent in seconds.items():
        print(f"| {name} | {tracks / statistics.median(spent):.1f} | {ratio(fairseq_seconds, spent)} |")
    print()
    return {f"{name}, against fairseq's HubertDataset": pair_ratios(fairseq_seconds, seconds[name]) for name in OURS}


def write_million(folder: Path, tracks: int = 1_000_000, frames: int = 2250) -> None:
    """A manifest, and packed labels whose codes are a sparse file: nothing reads all of them."""
    from mert_fairseq.labels.dictionary import write_dictionary
    from mert_fairseq.labels.packed import FORMAT, packed_files
    from mert_fairseq.manifest import Manifest

    codes, offsets, header = packed_files(folder / "train.rvq")
    names = [f"{track % 1000:03d}/{track:06d}.flac" for track in range(tracks)]
    Manifest(folder, names, np.full(tracks, frames * 320), RATE).write(folder / "train.tsv")
    np.save(offsets, np.arange(tracks + 1, dtype=np.int64) * frames)
    with codes.open("wb") as file:
        shape = (tracks * frames, CODEBOOKS)
        np.lib.format.write_array_header_1_0(file, {"descr": "<u2", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + 2 * shape[0] * shape[1])
    about = {"columns": COLUMNS, "max_codes": [CODES - 1] * CODEBOOKS, "label_rate_hz": LABEL_RATE_HZ, "settings": {}}
    header.write_text(json.dumps({**FORMAT, **about}))
    for column in COLUMNS:
        write_dictionary(folder / f"dict.{column}.txt", [1] * CODES)


OPEN = """
import os, sys, time
import numpy as np
sys.path.insert(0, {root!r})
if not {training}:
    sys.modules["fairseq"] = None  # as on a machine that only makes labels: without torch too
import mert_fairseq.labels, mert_fairseq.manifest
if {training}:
    from pathlib import Path
    from mert_fairseq.data import checks, mert_dataset
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
before, start = resident(), time.perf_counter()
manifest = mert_fairseq.manifest.Manifest.read({folder!r} + "/train.tsv")
labels = mert_fairseq.labels.open_labels({folder!r}, "train", {columns!r})
opened = time.perf_counter() - start
if {training}:
    path = Path({folder!r}) / "train.tsv"
    tracks = checks.usable_tracks(path, manifest, 72000, None, 320)
    read = mert_fairseq.labels.LabelDictionary.read
    dictionaries = [read(path.parent / f"dict.{{name}}.txt") for name in {columns!r}]
    checks.check_labels(path, manifest, labels, 24000, 75.0, tracks)
    checks.check_codes(labels, dictionaries, tracks)
    data = mert_dataset.MERTDataset(manifest, labels, mert_dataset.ClassTable(dictionaries), tracks, sample_rate=24000,
        label_rate_hz=75.0, crops=[(0, 120000)], training=True, seed=1)
    batches = data.batch_by_size(data.ordered_indices(), max_tokens=2000000)
    opened = time.perf_counter() - start
for track in np.random.default_rng(0).integers(0, len(manifest), 1000):
    labels.codes(int(track), 100, 475)
status = open("/proc/self/status").read()  # not ru_maxrss, which starts at the parent's value
peak = int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
print(opened, before, resident(), peak)
"""


def measure_open(folder: Path, runs: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_million(folder)
    root = str(Path(__file__).resolve().parents[1])
    print("| 1,000,000 tracks of 30 s, 8 codebooks | seconds | MB before | MB after | peak MB |\n|---|--:|--:|--:|--:|")
    for training, what in (
        (False, "manifest and packed labels, as in the label tools"),
        (True, "the training set, checked and batched"),
    ):
        script = OPEN.format(root=root, folder=str(folder), columns=COLUMNS, training=training)
        found = []
        for _ in range(runs):
            done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(done.stderr)
            found.append([float(word) for word in done.stdout.split()])
        seconds, before, after, peak = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"| {what} | {seconds:.1f} | {before:.0f} | {after:.0f} | {peak:.0f} |")
    print()


def measure_padding(folder: Path, runs: int, tracks: int = 20_000, max_samples: int = 2_000_000) -> None:
    from fairseq.data.data_utils import batch_by_size

    from mert_fairseq.data.sampling import bucketed_order, padded_batches, padding_share

    print("| lengths | batches | padding | batches in fairseq's order and size | padding |\n|---|--:|--:|--:|--:|")
    rng = np.random.default_rng(0)
    lengths = {
        "1 to 60 s, uniform": rng.uniform(1, 60, tracks),
        "songs: 210 s, log-normal, cropped to 30 s": np.minimum(210 * rng.lognormal(0, 0.5, tracks), 30),
        "40 tracks of 1 to 6 s": rng.uniform(1, 6, 40),
    }
    for name, seconds in lengths.items():
        sizes = (seconds * RATE).astype(np.int64)
        ours = padded_batches(bucketed_order(sizes, rng), sizes, max_samples, None, 8)
        order = np.lexsort([rng.permutation(len(sizes)), sizes])[::-1]
        theirs = batch_by_size(order, None, sizes[order], max_samples, None, 8)
        shares = [100 * padding_share([np.asarray(batch) for batch in batches], sizes) for batches in (ours, theirs)]
        print(f"| {name} | {len(ours)} | {shares[0]:.1f} % | {len(theirs)} | {shares[1]:.1f} % |")
    print()


def machine() -> str:
    """One line with the processor and the versions of the libraries."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    tools = ", ".join(f"{name} {version(name)}" for name in ("soundfile", "numpy", "torch", "ve-fairseq"))
    return (
        f"{len(names)} cores of {names[0] if names else platform.machine()}, Python {platform.python_version()}, "
        f"{tools}, libsndfile {soundfile.__libsndfile_version__}"
    )


def main() -> None:
    measures: dict[str, Any] = {
        "crops": measure_crops,
        "dataset": measure_dataset,
        "open": measure_open,
        "padding": measure_padding,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*measures, []], help="the parts to measure (default: all)")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS), help="of crops")
    parser.add_argument("--folder", type=Path, help="folder that keeps the files for the next run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the ratio of each pair")
    options = parser.parse_args()
    print(machine() + "\n")
    measures["crops"] = partial(measure_crops, formats=options.formats)
    pairs = {}
    with tempfile.TemporaryDirectory() as temporary:
        for part in options.parts or measures:
            pairs |= measures[part]((options.folder or Path(temporary)) / part, options.runs) or {}
    write_pairs(options.json, pairs)


if __name__ == "__main__":
    main()
