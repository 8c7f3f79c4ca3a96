#!/usr/bin/env python
"""What corpora of 10 to 160,000 hours need, from measured rates: the tables of docs/scaling.md.

python benchmarks/scaling.py
python benchmarks/scaling.py --peak-tflops 989 --shares 0.3 0.5 --gpus 64
"""

import argparse
import math
from dataclasses import dataclass

SAMPLE_RATE, FRAME_RATE, CODEBOOKS, CROP_SECONDS = 24_000, 75, 8, 5
CORPORA_HOURS = (10, 1_000, 20_000, 160_000)
# measured: benchmarks/loading.md, label_extraction.md
CLIPS_A_SECOND = 643  # a loader process: 5 s from 30 s FLAC, 8 packed codebooks
ENCODEC_SPEED, KMEANS_SPEED = 32.8 / 2, 769 / 2  # times real time, a core: label jobs on two
PCM_BYTES_A_SECOND = 2 * SAMPLE_RATE
FMA_LARGE_BYTES_A_SECOND = 93 * 2**30 / (106_574 * 30)  # its MP3s
LABEL_BYTES_A_SECOND = 2 * FRAME_RATE * CODEBOOKS  # packed, uint16
CHECKPOINT_BYTES_A_PARAMETER = 16  # weights, master weights and Adam's two moments, all in float32
# Memory of a GPU in half precision, reasoned from counts of saved activations, not measured on a GPU.
STATE_BYTES_A_PARAMETER = 20  # half-precision weights and gradients, float32 master, gradient and Adam's two moments
FREE_SHARE = 0.1  # of the memory: the CUDA context, NCCL's buffers and fragments
MOST_CLIPS = 174  # beyond, the first convolution's output passes 2^31 elements
CONVS = [(1, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2  # (channels in, width, stride), 512 out


@dataclass(frozen=True)
class Recipe:
    """A published model: its size, and what it hears an update."""

    name: str
    layers: int
    width: int
    ffn: int
    hours_an_update: float
    gb_a_clip: float  # of 5 s: saved activations and the backward pass's own
    updates: int = 400_000
    updates_a_save: int = 5_000

    @property
    def encoder_parameters(self) -> int:
        return self.layers * (4 * self.width**2 + 2 * self.width * self.ffn)

    @property
    def parameters(self) -> int:
        convs = sum(channels * 512 * width for channels, width, _ in CONVS)
        return convs + self.encoder_parameters + 128 * self.width**2 // 16 + 512 * self.width

    @property
    def flop_a_second(self) -> float:
        """Forward and backward (three times forward) of a second of audio."""
        convs, rate = 0.0, float(SAMPLE_RATE)
        for channels, width, stride in CONVS:
            rate /= stride
            convs += 2 * channels * 512 * width * rate
        products = 2 * self.encoder_parameters * FRAME_RATE
        attention = 4 * (CROP_SECONDS * FRAME_RATE) * self.width * self.layers * FRAME_RATE
        return 3 * (convs + products + attention)


RECIPES = (Recipe("95M", 12, 768, 3072, 1.5, 0.55), Recipe("330M", 24, 1024, 4096, 5.5, 1.2))


def corpus_table(cores: int) -> list[str]:
    """Labels and storage by hours of audio."""
    rows = [
        f"| hours | EnCodec labels, core-hours (days on {cores} cores) | K-means labels, core-hours | audio, WAV GB | "
        "audio, MP3 as FMA-large GB | labels, GB | array jobs of 12 h, 16 cores, EnCodec |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for hours in CORPORA_HOURS:
        encodec, seconds = hours / ENCODEC_SPEED, hours * 3600
        sizes = [seconds * size / 1e9 for size in (PCM_BYTES_A_SECOND, FMA_LARGE_BYTES_A_SECOND, LABEL_BYTES_A_SECOND)]
        rows.append(
            f"| {hours:,} | {encodec:,.0f} ({encodec / cores / 24:.2f}) | {hours / KMEANS_SPEED:,.1f} | "
            f"{sizes[0]:,.1f} | {sizes[1]:,.1f} | {sizes[2]:,.2f} | {math.ceil(encodec / 12 / 16)} |"
        )
    return rows


def training_table(peak_tflops: float, shares: list[float], gpus: int) -> list[str]:
    """GPU-days, loaders and checkpoints by model and share of peak."""
    rows = [
        "| model | GFLOP a second of audio | share of peak | audio s a GPU-second | loaders a GPU | "
        f"GPU-days of the recipe | update on {gpus} GPUs, s | checkpoint, GB | written, MB/s |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for recipe in RECIPES:
        for share in shares:
            audio_rate = share * peak_tflops * 1e12 / recipe.flop_a_second
            loaders = math.ceil(audio_rate / CROP_SECONDS / CLIPS_A_SECOND)
            gpu_days = recipe.updates * recipe.hours_an_update * 3600 / audio_rate / 86_400
            update_seconds = recipe.hours_an_update * 3600 / audio_rate / gpus
            checkpoint = recipe.parameters * CHECKPOINT_BYTES_A_PARAMETER
            written = 2 * checkpoint / (recipe.updates_a_save * update_seconds)
            rows.append(
                f"| {recipe.name} | {recipe.flop_a_second / 1e9:.0f} | {share:.0%} | {audio_rate:,.0f} | {loaders} | "
                f"{gpu_days:,.0f} | {update_seconds:.2f} | {checkpoint / 1e9:.1f} | {written / 1e6:.1f} |"
            )
    return rows


def batch_table(gpu_counts: tuple[int, ...] = (1, 8, 64), memories_gb: tuple[int, ...] = (24, 40, 80)) -> list[str]:
    """Options that keep the paper's batch: as few steps an update as the memory allows."""
    rows = [
        "| model | GPUs | memory of each, GB | clips that fit | dataset.max_tokens | optimization.update_freq | "
        "audio per update, h |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for recipe in RECIPES:
        clips_an_update = recipe.hours_an_update * 3600 / CROP_SECONDS
        for gpus in gpu_counts:
            for memory in memories_gb:
                free = memory * (1 - FREE_SHARE) - recipe.parameters * STATE_BYTES_A_PARAMETER / 1e9
                fitting = min(MOST_CLIPS, int(free / recipe.gb_a_clip))
                steps = math.ceil(clips_an_update / gpus / fitting)
                clips = round(clips_an_update / gpus / steps)
                hours = gpus * steps * clips * CROP_SECONDS / 3600
                max_tokens = clips * CROP_SECONDS * SAMPLE_RATE
                rows.append(
                    f"| {recipe.name} | {gpus} | {memory} | {fitting} | {max_tokens} | [{steps}] | {hours:.2f} |"
                )
    return rows


def passes_table(peak_tflops: float, share: float) -> list[str]:
    """How often the recipe hears a corpus, and what one pass costs."""
    rows = ["| hours | model | passes of the recipe | GPU-days a hundred passes |", "|--:|---|--:|--:|"]
    for hours in CORPORA_HOURS:
        for recipe in RECIPES:
            passes = recipe.updates * recipe.hours_an_update / hours
            days = 100 * hours * 3600 * recipe.flop_a_second / (share * peak_tflops * 1e12) / 86_400
            rows.append(f"| {hours:,} | {recipe.name} | {passes:,.0f} | {days:,.2f} |")
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peak-tflops", type=float, default=312, help="of a GPU in half precision; 312: A100")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.15, 0.3, 0.5], help="of peak")
    parser.add_argument("--gpus", type=int, default=64)
    parser.add_argument("--cores", type=int, default=256, help="that label")
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
