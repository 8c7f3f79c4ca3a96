#!/usr/bin/env python3
"""Time the search of a probe on cached features of GTZAN's size, beside one run at a time in plain torch.

    python benchmarks/probe_search.py --threads 2
    python benchmarks/probe_search.py --device cuda --runs-at-once 420

The plain loop is what probes usually are: a TensorDataset and DataLoader of one layer's features, torch.nn modules,
torch.optim.Adam, accuracy on validation after each epoch, early stopping, in float32. It is timed on a few runs, the
search as a whole (or on --groups groups), and both are given per run and epoch, so that runs of different lengths
compare.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from ratios import write_pairs
from torch.utils.data import DataLoader, TensorDataset

from mert_fairseq.probing.objectives import ClassObjective
from mert_fairseq.probing.probe_data import Clip
from mert_fairseq.probing.rows import Rows
from mert_fairseq.probing.search.protocol import Protocol, Run, plan_chunks
from mert_fairseq.probing.search.search import RUNS_AT_ONCE
from mert_fairseq.probing.search.train_heads import Trained, train_runs

SIZES = {"train": 443, "valid": 197}
CLASSES = 10


def made_up(split: str, states: int, width: int) -> Rows:
    """Noise with a class mean in each state, harder to hear in some."""
    generator = torch.Generator().manual_seed(len(split))
    means = torch.randn(states, CLASSES, width, generator=torch.Generator().manual_seed(0))
    classes = torch.randint(CLASSES, (SIZES[split],), generator=generator)
    noise = torch.randn(states, SIZES[split], width, generator=generator)
    features = [noise[state] + (0.05 + 0.01 * state) * means[state][classes] for state in range(states)]
    clips = [Clip(f"{split}{number}", "", str(int(each))) for number, each in enumerate(classes)]
    return Rows(features, torch.ones(SIZES[split], dtype=torch.int64), clips, classes)


def plain_run(run: Run, train: Rows, valid: Rows, protocol: Protocol, device: str) -> int:
    """One run as it is usually written; returns its epochs."""
    torch.manual_seed(run.seed)
    width = train.states[0].shape[1]
    inputs = protocol.hidden if protocol.head == "mlp" else width
    below = [torch.nn.Linear(width, protocol.hidden), torch.nn.ReLU()] if protocol.head == "mlp" else []
    dropout, last = torch.nn.Dropout(protocol.dropout), torch.nn.Linear(inputs, CLASSES)
    model = torch.nn.Sequential(*below, dropout, last).to(device)
    optimizer = torch.optim.Adam(model.parameters(), run.learning_rate)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", 0.5, protocol.lr_patience)
    data = [TensorDataset(rows.states[run.layer], rows.targets) for rows in (train, valid)]
    loaders = [DataLoader(part, protocol.batch_clips, shuffle=part is data[0]) for part in data]
    best, waited, done = -1.0, 0, 0
    while done < protocol.max_epochs and waited < protocol.stop_patience:
        done += 1
        model.train()
        for features, classes in loaders[0]:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(features.to(device)), classes.to(device)).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = sum(int((model(x.to(device)).argmax(1).cpu() == y).sum()) for x, y in loaders[1])
        plateau.step(right)
        best, waited = (right, 0) if right > best else (best, waited + 1)
    return done


def epochs_of(trained: Trained, protocol: Protocol) -> int:
    """Epochs of all runs together: the best one and the patience after it."""
    return int((trained.epochs + protocol.stop_patience).clamp(max=protocol.max_epochs).sum())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--states", type=int, default=13)
    options.add_argument("--width", type=int, default=768)
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--device", default="cpu")
    options.add_argument("--runs-at-once", type=int, help="in a group (default: what mert-probe takes)")
    options.add_argument("--groups", type=int, help="groups to train (default: all)")
    options.add_argument("--plain-runs", type=int, default=6, help="of the plain loop")
    options.add_argument("--head", default="mlp", choices=("mlp", "linear"))
    options.add_argument("--precision", default="float32", choices=("float32", "bfloat16"), help="of the search")
    options.add_argument("--max-epochs", type=int, default=100)
    options.add_argument("--json", type=Path, metavar="FILE", help="write the ratio")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    protocol = replace(
        Protocol(),
        seeds=tuple(range(chosen.seeds)),
        max_epochs=chosen.max_epochs,
        precision=chosen.precision,
        head=chosen.head,
    )
    train, valid = (made_up(split, chosen.states, chosen.width) for split in SIZES)
    at_once = chosen.runs_at_once or RUNS_AT_ONCE[chosen.device]
    groups = plan_chunks(protocol, chosen.states, at_once)[: chosen.groups]
    started, epochs = time.perf_counter(), 0
    for runs in groups:
        trained = train_runs(
            runs, train, valid, ClassObjective(tuple(map(str, range(CLASSES)))), protocol, device=chosen.device
        )
        epochs += epochs_of(trained, protocol)
    seconds = time.perf_counter() - started
    sample = [runs[0] for runs in groups if runs[0].layer >= 0][:: max(1, len(groups) // chosen.plain_runs)]
    started = time.perf_counter()
    plain_epochs = sum(plain_run(run, train, valid, protocol, chosen.device) for run in sample)
    plain_seconds = time.perf_counter() - started
    per_epoch, plain_per_epoch = seconds / epochs, plain_seconds / plain_epochs
    ratio = plain_per_epoch / per_epoch
    write_pairs(chosen.json, {f"probe search, {chosen.head}, against one run at a time": [ratio]})
    print(
        json.dumps(
            {
                "device": torch.cuda.get_device_name() if chosen.device == "cuda" else f"CPU, {chosen.threads} threads",
                "runs": sum(map(len, groups)),
                "runs_at_once": at_once,
                "head": chosen.head,
                "precision": chosen.precision,
                "seconds": round(seconds, 1),
                "milliseconds_per_run_and_epoch": round(1000 * per_epoch, 3),
                "plain_runs": len(sample),
                "plain_milliseconds_per_run_and_epoch": round(1000 * plain_per_epoch, 3),
                "ratio": round(ratio, 2),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
