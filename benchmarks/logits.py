"""Code logits, forward and backward: compares one matrix product with the expanded form of fairseq's HuBERT.

    python benchmarks/logits.py [--codebooks 8] [--frames 800] [--runs 3] [--json FILE]

Each run has its own process, so that peak memory is measured separately; runs of the two forms alternate.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from ratios import write_pairs
from torch import Tensor

CODES, WIDTH = 1028, 64


def expanded(projected: Tensor, embeddings: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy as fairseq's HuBERT computes it."""
    from fairseq.models.hubert import HubertModel

    class Temperature:
        logit_temp = 0.1

    positive = embeddings.index_select(0, targets)
    negatives = embeddings.unsqueeze(1).expand(-1, projected.size(0), -1)
    logits = HubertModel.compute_nce(Temperature(), projected, positive, negatives)
    return F.cross_entropy(logits, torch.zeros_like(targets), reduction="sum")


def product(projected: Tensor, embeddings: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy as this package computes it."""
    from mert_fairseq.modules.heads import codebook_logits, unit_vectors

    (logits,) = codebook_logits(unit_vectors(projected)[None], [unit_vectors(embeddings) / 0.1])
    return F.cross_entropy(logits[0], targets, reduction="sum")


FORMS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"expanded": expanded, "product": product}
REPEATS = {"expanded": 1, "product": 11}  # in a process; the median of several short runs varies less


def measure(form: str, codebooks: int, frames: int) -> dict[str, float]:
    """One forward and backward pass over all codebooks: seconds, peak MiB above the start, loss, gradient norm."""
    torch.manual_seed(0)
    torch.set_num_threads(2)
    projected = torch.randn(codebooks, frames, WIDTH, requires_grad=True)
    embeddings = torch.rand(codebooks, CODES, WIDTH, requires_grad=True)
    targets = torch.randint(4, CODES, (codebooks, frames))
    FORMS[form](projected[0, :2], embeddings[0], targets[0, :2])  # imports, first call
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times, peak_kib = [], 0
    for _ in range(REPEATS[form]):
        projected.grad = embeddings.grad = None
        start = time.perf_counter()
        loss = sum(FORMS[form](projected[q], embeddings[q], targets[q]) for q in range(codebooks))
        loss.backward()
        times.append(time.perf_counter() - start)
        peak_kib = peak_kib or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # of the first run
    return {
        "seconds": statistics.median(times),
        "peak_mib": (peak_kib - before_kib) / 1024,
        "loss": float(loss),
        "gradient": float(projected.grad.norm()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codebooks", type=int, default=8)
    parser.add_argument("--frames", type=int, default=800)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the ratio of each pair")
    parser.add_argument("--one", choices=FORMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args.codebooks, args.frames)))
        return
    results: dict[str, list[dict[str, float]]] = {form: [] for form in FORMS}
    for _ in range(args.runs):
        for form in FORMS:
            command = [sys.executable, __file__, "--one", form, "--codebooks", args.codebooks, "--frames", args.frames]
            output = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout
            results[form].append(json.loads(output.splitlines()[-1]))
    print(f"{platform.machine()}, torch {torch.__version__}, 2 threads, {args.runs} paired runs")
    print(f"{args.codebooks} codebooks of {CODES} x {args.frames} masked frames, width {WIDTH}; medians\n")
    print("| form | seconds | peak MiB | loss | gradient norm |\n|---|--:|--:|--:|--:|")
    for form, runs in results.items():
        row = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        print(f"| {form} | {row['seconds']:.3f} | {row['peak_mib']:.0f} | {row['loss']:.1f} | {row['gradient']:.3f} |")
    pairs = {}
    for key, what in (("seconds", "time"), ("peak_mib", "memory")):
        ratios = [a[key] / b[key] for a, b in zip(results["expanded"], results["product"], strict=True)]
        print(f"\nexpanded / product, {key}: {statistics.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f})")
        pairs[f"code logits against HuBERT's expanded form, {what}"] = ratios
    write_pairs(args.json, pairs)


if __name__ == "__main__":
    main()
