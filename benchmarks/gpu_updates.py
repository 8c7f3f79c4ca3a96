"""Measures training updates of a recipe on a GPU or CPU: time, memory, parts, kernels. Used by benchmarks/gpu.py."""

import statistics
import time
from pathlib import Path
from typing import Any

import torch
from recipe_training import RecipeTraining
from timeline import PARTS, Timeline, parts_timed
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

WARM_UP_UPDATES, ROUNDS, DISTINCT_BATCHES = 3, 3, 4
KERNELS = 15  # in the table


def start_training(options: dict[str, Any], corpus: Path) -> RecipeTraining:
    """A training with every layer in each update, as the budget counts it."""
    overrides = (
        "model.encoder_layerdrop=0.0", f"model.compile={options['compile']}", f"optimizer._name={options['optimizer']}",
        f"task.max_sample_size={round(options['seconds'] * 24_000)}",
    )  # fmt: skip
    return RecipeTraining(options["size"], corpus, options["precision"], options["device"], overrides)


def measure_updates(options: dict[str, Any], corpus: Path) -> list[dict[str, Any]]:
    """A row per batch size, up to the first that does not fit into memory."""
    training = start_training(options, corpus)
    rows: list[dict[str, Any]] = []
    for clips in options["batches"]:
        about = {name: options[name] for name in ("size", "compile", "optimizer", "precision")}
        if options["compile"] != "off":
            torch._dynamo.reset()  # graphs of this shape, not of variable shapes
        try:
            rows.append({**about, "clips": clips, **_time(training, clips, options)})
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            if "out of memory" not in str(error):
                raise
            rows.append({**about, "clips": clips, "error": "out of memory"})
            break
    return rows


def _time(training: RecipeTraining, clips: int, options: dict[str, Any]) -> dict[str, float]:
    on_gpu, updates = options["device"] == "cuda", options["updates"]
    batches = training.batches(clips, DISTINCT_BATCHES)
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    for number in range(WARM_UP_UPDATES):
        training.update(batches[number % len(batches)])
    _synchronize(on_gpu)
    first_seconds = time.perf_counter() - start
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for number in range(updates):
            training.update(batches[number % len(batches)])
        _synchronize(on_gpu)
        rounds.append((time.perf_counter() - start) / updates)
    seconds = statistics.median(rounds)
    return {
        "ms": 1e3 * seconds,
        "ms_least": 1e3 * min(rounds),
        "ms_most": 1e3 * max(rounds),
        "warm_up_seconds": first_seconds,  # with the compilation
        "audio_seconds_per_second": clips * options["seconds"] / seconds,
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9 if on_gpu else 0.0,
    }


def measure_parts(options: dict[str, Any], corpus: Path) -> dict[str, Any]:
    """Milliseconds per update of each part, and the kernels that take most time, at the first batch size."""
    training = start_training(options, corpus)
    on_gpu, updates = options["device"] == "cuda", options["updates"]
    batches = training.batches(options["batches"][0], DISTINCT_BATCHES)
    for number in range(WARM_UP_UPDATES):
        training.update(batches[number % len(batches)])
    milliseconds = dict.fromkeys(PARTS, 0.0)
    for number in range(updates):
        timeline = Timeline(options["device"])
        with parts_timed(training.trainer, timeline):
            timeline.mark("copies and rest")
            training.update(batches[number % len(batches)])
            timeline.mark("optimizer")
        for part, spent in timeline.milliseconds().items():
            milliseconds[part] += spent / updates
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        start = time.perf_counter()
        for number in range(updates):
            training.update(batches[number % len(batches)])
        _synchronize(on_gpu)
        wall_ms = 1e3 * (time.perf_counter() - start) / updates
    return {
        **{name: options[name] for name in ("size", "compile", "optimizer", "precision")},
        "clips": options["batches"][0],
        "parts_ms": milliseconds,
        "profiled_ms": wall_ms,
        "kernels": _kernels(profiler, on_gpu, updates),
    }


def _kernels(profiler: profile, on_gpu: bool, updates: int) -> dict[str, Any]:
    """Time and launches per update of all kernels together, and of those that take most time (on a CPU: operations)."""
    device = DeviceType.CUDA if on_gpu else DeviceType.CPU
    rows = []
    for each in profiler.key_averages():
        if each.device_type == device and not getattr(each, "is_user_annotation", False):
            microseconds = each.self_device_time_total if on_gpu else each.self_cpu_time_total
            rows.append({"name": each.key, "ms": microseconds / 1e3 / updates, "launches": each.count / updates})
    rows.sort(key=lambda row: -row["ms"])
    return {
        "kind": "kernel" if on_gpu else "operation",
        "busy_ms": sum(row["ms"] for row in rows),
        "launches": sum(row["launches"] for row in rows),
        "longest": rows[:KERNELS],
    }


def _synchronize(on_gpu: bool) -> None:
    if on_gpu:
        torch.cuda.synchronize()
