"""Measures extraction on a GPU or CPU, for benchmarks/gpu.py: hours of audio per minute, and the error of bfloat16."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import budget
import numpy as np
import soundfile
import torch
from omegaconf import OmegaConf

from mert_fairseq.extraction.load_encoder import load_encoder
from mert_fairseq.extraction.model_batches import Precision
from mert_fairseq.models.build import compile_parts
from mert_fairseq.models.mert import MERTModel

RATE, ROUNDS = 24_000, 3


def write_checkpoint(size: str, path: Path) -> Path:
    """A checkpoint of a recipe's model with random weights; returns its path."""
    torch.manual_seed(0)
    cfg = budget.model_config(size)
    model = MERTModel(cfg, RATE, [budget.CODES + 4] * budget.CODEBOOKS)
    options = {**OmegaConf.to_container(cfg, resolve=True, enum_to_str=True), "_name": "mert"}
    task = {"_name": "mert_pretraining", "sample_rate": RATE, "normalize": False}
    torch.save({"cfg": {"model": options, "task": task}, "model": model.state_dict()}, path)
    return path


def noise(samples: int, seed: int = 0) -> np.ndarray:
    """(samples,) float32."""
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def measure_extraction(options: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """A row per precision and batch size, of the model alone on windows of one length, with all layers returned."""
    device, size = options["device"], options["size"]
    encoder = load_encoder(write_checkpoint(size, folder / f"{size}.pt"), device)
    if options["compile"] != "off":
        compile_parts(encoder.model.feature_extractor, encoder.model.encoder, options["compile"])
    rows = []
    samples = round(options["window_seconds"] * RATE)
    for bf16 in (False, True):
        precision = Precision(encoder, range(encoder.num_layers), bf16)
        for windows in options["windows"]:
            about = {"size": size, "compile": options["compile"], "bf16": bf16, "windows": windows}
            waves = torch.from_numpy(np.stack([noise(samples, seed) for seed in range(windows)]))
            try:
                hours = windows * options["window_seconds"] / 3600
                found = {"hours_per_minute": 60 * hours / _seconds(precision, waves, device)}
            except RuntimeError as error:
                if "out of memory" not in str(error):
                    raise
                found = {"error": "out of memory"}
            rows.append({**about, **found, "bf16_error": precision.error, "bf16_error_layer": precision.error_layer})
    return rows


def _seconds(precision: Precision, waves: torch.Tensor, device: str) -> float:
    """Seconds per batch: the fastest of some rounds, with the copy of the features to the host."""
    precision.layers(waves)  # compiles, and measures the error of bfloat16
    precision.layers(waves)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        precision.layers(waves).cpu()
        times.append(time.perf_counter() - start)
    return min(times)


def measure_command(options: dict[str, Any], folder: Path) -> dict[str, Any]:
    """``mert-extract`` on WAV files, as a process: reading, the model, writing; one layer in bfloat16, means of 1 s."""
    size = options["size"]
    checkpoint = write_checkpoint(size, folder / f"{size}.pt")
    audio = folder / "audio"
    audio.mkdir()
    for number in range(options["files"]):
        soundfile.write(audio / f"{number}.wav", noise(round(options["file_seconds"] * RATE), number), RATE)
    command = [
        sys.executable, "-m", "mert_fairseq.extraction.cli", checkpoint, audio, "--out", folder / "features", "--json",
        "--device", options["device"], "--bf16", "--mean", "1", "--batch", max(options["windows"]), "--layers", "1",
    ]  # fmt: skip
    start = time.perf_counter()
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"mert-extract ended with exit status {done.returncode}: {done.stderr}")
    summary = json.loads(done.stdout.splitlines()[-1])
    return {
        "size": size,
        "hours": summary["hours"],
        "hours_per_minute": summary["times_real_time"] / 60,
        "seconds_with_start": time.perf_counter() - start,
        "bf16_error": summary["bf16_error"],
    }
