#!/usr/bin/env python
"""Estimates for corpora of 10 to 160,000 hours from measured rates: the tables of docs/scaling.md.

python benchmarks/scaling.py
python benchmarks/scaling.py --peak-tflops 989 --shares 0.3 0.5 --gpus 64
"""

import argparse
import math
from dataclasses import dataclass

SAMPLE_RATE, FRAME_RATE, CODEBOOKS, CROP_SECONDS = 24_000, 75, 8, 5
CORPORA_HOURS = (10, 1_000, 20_000, 160_000)
# measured: benchmarks/loading.md, label_extraction.md
CLIPS_PER_SECOND = 643  # of a loader process: 5 s from 30 s FLAC, 8 packed codebooks
ENCODEC_SPEED, KMEANS_SPEED = 32.8 / 2, 769 / 2  # times real time per core; label jobs ran on two cores
PCM_BYTES_PER_SECOND = 2 * SAMPLE_RATE
FMA_LARGE_BYTES_PER_SECOND = 93 * 2**30 / (106_574 * 30)  # its MP3s
LABEL_BYTES_PER_SECOND = 2 * FRAME_RATE * CODEBOOKS  # packed, uint16
CHECKPOINT_BYTES_PER_PARAMETER = 16  # weights, master weights and Adam's two moments, all in float32
# Memory of a GPU in half precision, from the counts of benchmarks/growth.md, not measured on a GPU.
STATE_BYTES_PER_PARAMETER = 20  # half-precision weights and gradients, float32 master, gradient and Adam's two moments
FREE_SHARE = 0.2  # of the memory: the CUDA context, workspaces of convolutions, NCCL's buffers and fragments
MOST_CLIPS = 174  # more clips: the output of the first convolution exceeds 2^31 elements
CONVS = [(1, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2  # (channels in, width, stride), 512 out


@dataclass(frozen=True)
class Recipe:
    """A published model: its size, and the audio per update."""

    name: str
    layers: int
    width: int
    ffn: int
    hours_per_update: float
    gb_per_clip: float  # of 5 s: what each clip more adds to the counted peak memory
    updates: int = 400_000
    updates_per_save: int = 5_000

    @property
    def encoder_parameters(self) -> int:
        return self.layers * (4 * self.width**2 + 2 * self.width * self.ffn)

    @property
    def parameters(self) -> int:
        convs = sum(channels * 512 * width for channels, width, _ in CONVS)
        return convs + self.encoder_parameters + 128 * self.width**2 // 16 + 512 * self.width

    @property
    def flop_per_second(self) -> float:
        """Forward and backward pass (three times the forward pass) of one second of audio."""
        convs, rate = 0.0, float(SAMPLE_RATE)
        for channels, width, stride in CONVS:
            rate /= stride
            convs += 2 * channels * 512 * width * rate
        products = 2 * self.encoder_parameters * FRAME_RATE
        attention = 4 * (CROP_SECONDS * FRAME_RATE) * self.width * self.layers * FRAME_RATE
        return 3 * (convs + products + attention)


RECIPES = (Recipe("95M", 12, 768, 3072, 1.5, 0.27), Recipe("330M", 24, 1024, 4096, 5.5, 0.45))


def corpus_table(cores: int) -> list[str]:
    """Labels and storage by hours of audio."""
    rows = [
        f"| hours | EnCodec labels, core-hours (days on {cores} cores) | K-means labels, core-hours | audio, WAV GB | "
        "audio, MP3 as FMA-large GB | labels, GB | array jobs of 12 h, 16 cores, EnCodec |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for hours in CORPORA_HOURS:
        encodec, seconds = hours / ENCODEC_SPEED, hours * 3600
        sizes = [
            seconds * size / 1e9 for size in (PCM_BYTES_PER_SECOND, FMA_LARGE_BYTES_PER_SECOND, LABEL_BYTES_PER_SECOND)
        ]
        rows.append(
            f"| {hours:,} | {encodec:,.0f} ({encodec / cores / 24:.2f}) | {hours / KMEANS_SPEED:,.1f} | "
            f"{sizes[0]:,.1f} | {sizes[1]:,.1f} | {sizes[2]:,.2f} | {math.ceil(encodec / 12 / 16)} |"
        )
    return rows


def training_table(peak_tflops: float, shares: list[float], gpus: int) -> list[str]:
    """GPU-days, loaders and checkpoints by model and share of peak."""
    rows = [
        "| model | GFLOP per second of audio | share of peak | audio s per GPU-second | loader processes per GPU | "
        f"GPU-days of the recipe | update on {gpus} GPUs, s | checkpoint, GB | written, MB/s |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for recipe in RECIPES:
        for share in shares:
            audio_rate = share * peak_tflops * 1e12 / recipe.flop_per_second
            loaders = math.ceil(audio_rate / CROP_SECONDS / CLIPS_PER_SECOND)
            gpu_days = recipe.updates * recipe.hours_per_update * 3600 / audio_rate / 86_400
            update_seconds = recipe.hours_per_update * 3600 / audio_rate / gpus
            checkpoint = recipe.parameters * CHECKPOINT_BYTES_PER_PARAMETER
            written = 2 * checkpoint / (recipe.updates_per_save * update_seconds)
            rows.append(
                f"| {recipe.name} | {recipe.flop_per_second / 1e9:.0f} | {share:.0%} | {audio_rate:,.0f} | {loaders} | "
                f"{gpu_days:,.0f} | {update_seconds:.2f} | {checkpoint / 1e9:.1f} | {written / 1e6:.1f} |"
            )
    return rows


def batch_table(gpu_counts: tuple[int, ...] = (1, 8, 64), memories_gb: tuple[int, ...] = (24, 40, 80)) -> list[str]:
    """Options that keep the paper's batch, with as few steps per update as the memory allows."""
    rows = [
        "| model | GPUs | memory of each, GB | clips that fit | dataset.max_tokens | optimization.update_freq | "
        "audio per update, h |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for recipe in RECIPES:
        clips_per_update = recipe.hours_per_update * 3600 / CROP_SECONDS
        for gpus in gpu_counts:
            for memory in memories_gb:
                free = memory * (1 - FREE_SHARE) - recipe.parameters * STATE_BYTES_PER_PARAMETER / 1e9
                fitting = min(MOST_CLIPS, int(free / recipe.gb_per_clip))
                steps = math.ceil(clips_per_update / gpus / fitting)
                clips = round(clips_per_update / gpus / steps)
                hours = gpus * steps * clips * CROP_SECONDS / 3600
                max_tokens = clips * CROP_SECONDS * SAMPLE_RATE
                rows.append(
                    f"| {recipe.name} | {gpus} | {memory} | {fitting} | {max_tokens} | [{steps}] | {hours:.2f} |"
                )
    return rows


def passes_table(peak_tflops: float, share: float) -> list[str]:
    """The number of passes of the recipe over a corpus, and the cost of one pass."""
    rows = ["| hours | model | passes of the recipe | GPU-days per hundred passes |", "|--:|---|--:|--:|"]
    for hours in CORPORA_HOURS:
        for recipe in RECIPES:
            passes = recipe.updates * recipe.hours_per_update / hours
            days = 100 * hours * 3600 * recipe.flop_per_second / (share * peak_tflops * 1e12) / 86_400
            rows.append(f"| {hours:,} | {recipe.name} | {passes:,.0f} | {days:,.2f} |")
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peak-tflops", type=float, default=312, help="of a GPU in half precision; 312: A100")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.15, 0.3, 0.5], help="of peak")
    parser.add_argument("--gpus", type=int, default=64)
    parser.add_argument("--cores", type=int, default=256, help="for labelling")
    chosen = parser.parse_args()
    tables = (
        corpus_table(chosen.cores),
        training_table(chosen.peak_tflops, chosen.shares, chosen.gpus),
        batch_table(),
        passes_table(chosen.peak_tflops, 0.3),
    )
    print("\n\n".join("\n".join(table) for table in tables))


if __name__ == "__main__":
    main()
