"""Trains a group of runs together, each with its own learning rate, early stopping and best epoch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mert_fairseq.probing.objectives import Objective
from mert_fairseq.probing.rows import Rows
from mert_fairseq.probing.search.batched_heads import BatchedAdam, Parameters, apply_heads, start_heads
from mert_fairseq.probing.search.early_stopping import Progress
from mert_fairseq.probing.search.protocol import ALL_LAYERS, Protocol, Run
from mert_fairseq.probing.search.seed_batches import Batch, SeedStreams

PREDICTED_ELEMENTS = 1 << 25  # hidden units of all runs at once, 128 MB


@dataclass(frozen=True)
class Trained:
    """A group of runs, each at its best epoch.

    Attributes:
        runs: R.
        heads: their parameters.
        scores: (R,) best validation scores, -inf for runs that diverged.
        epochs: (R,) the best epochs, from 1.
    """

    runs: list[Run]
    heads: Parameters
    scores: Tensor
    epochs: Tensor


class Group:
    """Runs of one kind (single layers, or the weighted sum) and the features that they read."""

    def __init__(self, runs: Sequence[Run], device: str) -> None:
        self.runs, self.device = list(runs), device
        self.mixed = runs[0].layer == ALL_LAYERS
        self.seeds = list(dict.fromkeys(run.seed for run in runs))
        self.seed_of_run = torch.tensor([self.seeds.index(run.seed) for run in runs])

    def keep(self, runs: Tensor) -> None:
        """Keep only these runs, given by index."""
        self.runs = [self.runs[run] for run in runs.tolist()]
        self.seed_of_run = self.seed_of_run[runs]

    def batch_features(self, heads: Parameters, rows: Rows, batch: Batch) -> Tensor:
        """(R, B, D) float32: what each run reads of a batch."""
        if not self.mixed:
            pairs = list(dict.fromkeys((run.layer, seed) for run, seed in self._run_seeds()))
            found = torch.stack([self._read(rows.states[layer], batch.rows[seed]) for layer, seed in pairs])
            return found[[pairs.index((run.layer, seed)) for run, seed in self._run_seeds()]]
        mixed: list[Tensor] = [torch.empty(0)] * len(self.runs)
        for seed in range(len(self.seeds)):
            of_seed = (self.seed_of_run == seed).nonzero()[:, 0]
            if len(of_seed):
                layers = torch.stack([self._read(state, batch.rows[seed]) for state in rows.states[1:]])
                for run, features in zip(of_seed.tolist(), _mix(heads["mix"][of_seed], layers), strict=True):
                    mixed[run] = features
        return torch.stack(mixed)

    def block_features(self, heads: Parameters, rows: Rows, block: slice) -> Tensor:
        """(R, B, D) float32: what each run reads of consecutive rows."""
        if self.mixed:
            return _mix(heads["mix"], torch.stack([self._read(state, block) for state in rows.states[1:]]))
        layers = sorted({run.layer for run in self.runs})
        found = torch.stack([self._read(rows.states[layer], block) for layer in layers])
        return found[[layers.index(run.layer) for run in self.runs]]

    def _run_seeds(self) -> Iterator[tuple[Run, int]]:
        return zip(self.runs, self.seed_of_run.tolist(), strict=True)

    def _read(self, state: Tensor, rows: Tensor | slice) -> Tensor:
        return state[rows].to(self.device, torch.float32)


def _mix(weights: Tensor, layers: Tensor) -> Tensor:
    """Softmax-weighted sums: (R, L) weights of (L, B, D) to (R, B, D)."""
    return (weights.softmax(1) @ layers.flatten(1)).view(len(weights), *layers.shape[1:])


def predict(group: Group, heads: Parameters, rows: Rows, precision: str = "float32") -> Tensor:
    """(R, W, K) outputs on a split, on the CPU."""
    hidden = heads["w2"].shape[1]
    size = max(1, PREDICTED_ELEMENTS // (len(group.runs) * max(hidden, rows.states[0].shape[1])))
    with torch.no_grad():
        return torch.cat(
            [
                apply_heads(
                    heads, group.block_features(heads, rows, slice(start, start + size)), precision=precision
                ).cpu()
                for start in range(0, len(rows.states[0]), size)
            ],
            1,
        )


def train_runs(
    runs: Sequence[Run],
    train: Rows,
    valid: Rows,
    objective: Objective,
    protocol: Protocol,
    *,
    crop_rows: int | None = None,
    device: str = "cpu",
) -> Trained:
    """Train runs together; up to rounding, each equals training it alone.

    Args:
        runs: all of single layers, or all of the weighted sum.
        train: the training split.
        valid: the split by which the best epoch is chosen.
        objective: loss and score.
        protocol: sizes, patience and number of epochs.
        crop_rows: rows of each clip per update, at a random place; None for all.
        device: where the heads are trained.
    """
    group = Group(runs, device)
    heads = start_heads(
        [run.seed for run in runs],
        train.states[0].shape[1],
        objective.outputs,
        hidden=protocol.hidden if protocol.head == "mlp" else 0,
        mixed_layers=len(train.states) - 1 if group.mixed else 0,
        device=device,
    )
    optimizer = BatchedAdam(heads, torch.tensor([run.learning_rate for run in runs], device=device))
    progress = Progress(len(runs), protocol.lr_patience, protocol.stop_patience)
    streams = SeedStreams(group.seeds, device)
    best = {name: value.detach().clone() for name, value in heads.items()}
    epochs, places = torch.zeros(len(runs), dtype=torch.int64), torch.arange(len(runs))
    scores = torch.full((len(runs),), -torch.inf, dtype=torch.float64)
    for epoch in range(1, protocol.max_epochs + 1):
        for batch in streams.epoch(train, protocol.batch_clips, crop_rows):
            _update(group, optimizer, streams, train, batch, objective, protocol)
        improved = progress.update(
            objective.monitor(predict(group, heads, valid, protocol.precision), valid), optimizer.rates
        )
        for name, value in heads.items():
            best[name][places[improved].to(device)] = value.detach()[improved.to(device)]
        epochs[places[improved]], scores[places] = epoch, progress.best
        if not progress.running.all():
            going = progress.running.nonzero()[:, 0]
            places = places[going]
            if not len(places):
                break
            progress.keep(going)
            group.keep(going)
            optimizer.keep(going.to(device))
    return Trained(list(runs), best, scores, epochs)


def _update(
    group: Group,
    optimizer: BatchedAdam,
    streams: SeedStreams,
    train: Rows,
    batch: Batch,
    objective: Objective,
    protocol: Protocol,
) -> None:
    heads = optimizer.heads
    features = group.batch_features(heads, train, batch)
    targets = torch.stack([train.targets_of(rows) for rows in batch.rows])[group.seed_of_run].to(group.device)
    weights = batch.weights[group.seed_of_run].to(group.device)
    masks = streams.masks(batch, heads["w2"].shape[1], protocol.dropout)
    mask = None if masks is None else masks[group.seed_of_run.to(group.device)]
    losses = objective.loss(apply_heads(heads, features, mask, protocol.precision), targets)
    ((losses * weights).sum(1) / weights.sum(1)).sum().backward()
    optimizer.step()
