"""The batched search: each run is what it would be alone, and what plain torch makes of it."""

import numpy as np
import pytest
import torch

from mert_fairseq.probing.objectives import ClassObjective
from mert_fairseq.probing.probe_data import Clip
from mert_fairseq.probing.rows import Rows
from mert_fairseq.probing.search.batched_heads import BatchedAdam, apply_heads, start_heads
from mert_fairseq.probing.search.early_stopping import Progress
from mert_fairseq.probing.search.protocol import ALL_LAYERS, Protocol, Run, layer_choices, plan_chunks
from mert_fairseq.probing.search.search import search
from mert_fairseq.probing.search.seed_batches import SeedStreams
from mert_fairseq.probing.search.train_heads import Group, predict, train_runs

CLASSES = ("a", "b", "c")


def rows(clips: int, states: int = 4, width: int = 12, windows: int = 2, seed: int = 0) -> Rows:
    """Clips of one to ``windows`` windows; state 2 tells the classes, the others are noise."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(clips) % len(CLASSES)
    counts = torch.arange(clips) % windows + 1
    features = [torch.randn(int(counts.sum()), width, generator=generator) for _ in range(states)]
    features[2][:, :3] += 3 * torch.nn.functional.one_hot(classes.repeat_interleave(counts), 3)
    named = [Clip(f"{seed}-{clip}", "x.wav", CLASSES[int(each)]) for clip, each in enumerate(classes)]
    return Rows(features, counts, named, classes)


def small(**options: object) -> Protocol:
    settings = {"hidden": 8, "learning_rates": (1e-3, 1e-2), "seeds": (1, 2), "batch_clips": 8, "max_epochs": 6}
    return Protocol(**{**settings, **options})


@pytest.mark.parametrize("head", ["mlp", "linear"])
@pytest.mark.parametrize("layers", [(0, 2), (ALL_LAYERS,)])
def test_runs_side_by_side_equal_runs_alone(head, layers):
    train, valid, protocol = rows(30), rows(12, seed=1), small(head=head, stop_patience=2)
    runs = [Run(layer, rate, seed) for layer in layers for rate in protocol.learning_rates for seed in protocol.seeds]
    together = train_runs(runs, train, valid, ClassObjective(CLASSES), protocol)
    for place, run in enumerate(runs):
        alone = train_runs([run], train, valid, ClassObjective(CLASSES), protocol)
        assert together.scores[place] == alone.scores[0]
        assert together.epochs[place] == alone.epochs[0]
        for name, value in alone.heads.items():
            torch.testing.assert_close(together.heads[name][place], value[0], atol=1e-5, rtol=1e-4)


def test_a_run_equals_a_plain_training_loop_in_torch():
    train, protocol = rows(20), small(dropout=0.0, max_epochs=3, stop_patience=9)
    run = Run(2, 1e-2, 1)
    start = start_heads([1], 12, 3, hidden=8)
    model = torch.nn.Sequential(torch.nn.Linear(12, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    with torch.no_grad():
        for layer, weight, bias in ((model[0], "w1", "b1"), (model[2], "w2", "b2")):
            layer.weight.copy_(start[weight][0].T)
            layer.bias.copy_(start[bias][0, 0])
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    streams = SeedStreams([1], "cpu")
    for _ in range(3):
        for batch in streams.epoch(train, 8, None):
            optimizer.zero_grad()
            outputs = model(train.states[2][batch.rows[0]])
            torch.nn.functional.cross_entropy(outputs, train.targets_of(batch.rows[0])).backward()
            optimizer.step()
    # the best epoch by a constant score is the first: compare after the last one
    objective = ClassObjective(CLASSES)
    objective.monitor = lambda outputs, rows: torch.tensor([float(next(rising))])
    rising = iter(range(3))
    trained = train_runs([run], train, train, objective, protocol)
    with torch.no_grad():
        expected = model(train.states[2])
    torch.testing.assert_close(predict(Group([run], "cpu"), trained.heads, train)[0], expected, atol=1e-5, rtol=1e-4)


def test_half_precision_learns_the_same_and_its_outputs_differ_by_rounding():
    train, valid = rows(60), rows(30, seed=1)
    runs = [Run(2, 1e-2, seed) for seed in (1, 2)]
    full, half = (
        train_runs(runs, train, valid, ClassObjective(CLASSES), small(precision=precision, max_epochs=1))
        for precision in ("float32", "bfloat16")
    )
    for name, value in full.heads.items():
        assert half.heads[name].dtype == torch.float32
        torch.testing.assert_close(half.heads[name], value, atol=0.03, rtol=0.1)
        assert not torch.equal(half.heads[name], value)


def test_the_search_finds_the_layer_that_tells_the_classes(tmp_path):
    splits = {"train": rows(60), "valid": rows(30, seed=1), "test": rows(30, seed=2)}
    found = search(splits, ClassObjective(CLASSES), small(), tmp_path, key="k")
    assert found.layer == 2
    assert len(found.scores) == (4 + 1) * 2 * 2
    assert found.outputs["test"].shape == (2, len(splits["test"].states[0]), 3)


def test_a_search_that_was_stopped_continues_with_the_same_result(tmp_path, monkeypatch):
    splits = {"train": rows(30), "valid": rows(12, seed=1), "test": rows(12, seed=2)}
    whole = search(splits, ClassObjective(CLASSES), small(), tmp_path / "whole", key="k", runs_at_once=4)
    stopped = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        search(splits, ClassObjective(CLASSES), small(), stopped, key="k", runs_at_once=4, report=_stop_after(8))
    finished = {path.name: path.stat().st_mtime_ns for path in stopped.iterdir()}
    assert len(finished) == 2
    resumed = search(splits, ClassObjective(CLASSES), small(), stopped, key="k", runs_at_once=4)
    assert resumed.scores == whole.scores
    assert {name: (stopped / name).stat().st_mtime_ns for name in finished} == finished


def test_groups_of_other_settings_and_damaged_groups_are_trained_again(tmp_path):
    splits = {"train": rows(30), "valid": rows(12, seed=1), "test": rows(12, seed=2)}
    search(splits, ClassObjective(CLASSES), small(), tmp_path, key="old")
    file = tmp_path / "group_000.npz"
    before = file.stat().st_mtime_ns
    search(splits, ClassObjective(CLASSES), small(), tmp_path, key="new")
    assert file.stat().st_mtime_ns > before
    file.write_bytes(file.read_bytes()[:100])
    search(splits, ClassObjective(CLASSES), small(), tmp_path, key="new")
    assert len(file.read_bytes()) > 100


def test_features_that_make_every_head_diverge_are_an_error(tmp_path):
    splits = {"train": rows(30), "valid": rows(12, seed=1), "test": rows(12, seed=2)}
    objective = ClassObjective(CLASSES)
    objective.monitor = lambda outputs, rows: torch.full((len(outputs),), torch.nan)
    with pytest.raises(ValueError, match="no run has a finite validation score"):
        search(splits, objective, small(), tmp_path, key="k")


def test_one_class_only_is_an_error(tmp_path):
    train = rows(9)
    alike = Rows(train.states, train.counts, train.clips, torch.zeros_like(train.targets))
    with pytest.raises(ValueError, match="only the class 'a', expected at least 2"):
        search({"train": alike, "valid": train, "test": train}, ClassObjective(CLASSES), small(), tmp_path, key="k")


def test_adam_equals_torchs_with_a_rate_for_each_run():
    torch.manual_seed(0)
    heads = start_heads([1, 2, 3], 30, 4, hidden=8)
    alone = [
        {name: value.detach()[run].clone().requires_grad_(True) for name, value in heads.items()} for run in range(3)
    ]
    rates = [1e-4, 1e-3, 1e-2]
    ours = BatchedAdam(heads, torch.tensor(rates))
    theirs = [torch.optim.Adam(each.values(), rate) for each, rate in zip(alone, rates, strict=True)]
    for _ in range(5):
        features = torch.randn(3, 6, 30)
        apply_heads(ours.heads, features).square().sum().backward()
        ours.step()
        for run, (each, optimizer) in enumerate(zip(alone, theirs, strict=True)):
            optimizer.zero_grad()
            single = {name: value[None] for name, value in each.items()}
            apply_heads(single, features[run : run + 1]).square().sum().backward()
            optimizer.step()
    for run, each in enumerate(alone):
        for name, value in each.items():
            torch.testing.assert_close(ours.heads[name][run], value, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_learning_rates_fall_as_torchs_scheduler_lets_them(seed):
    scores = np.random.default_rng(seed).random(60).round(2)
    rates, progress = torch.tensor([0.1]), Progress(1, lr_patience=3, stop_patience=99)
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], 0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", 0.5, patience=3)
    for score in scores:
        progress.update(torch.tensor([score]), rates)
        scheduler.step(score)
        assert float(rates[0]) == pytest.approx(optimizer.param_groups[0]["lr"])


def test_a_run_ends_after_its_patience_and_nan_is_no_gain():
    rates, progress = torch.tensor([1.0, 1.0]), Progress(2, lr_patience=9, stop_patience=2)
    assert progress.update(torch.tensor([0.5, torch.nan]), rates).tolist() == [True, False]
    progress.update(torch.tensor([0.5, 0.1]), rates)
    assert progress.running.tolist() == [True, True]
    progress.update(torch.tensor([0.4, 0.2]), rates)
    assert progress.running.tolist() == [False, True]


def test_the_constrained_track_has_84_runs_for_12_layers_and_156_for_24():
    protocol = Protocol(seeds=(0,))
    assert sum(map(len, plan_chunks(protocol, 13, 10))) == 84
    assert sum(map(len, plan_chunks(protocol, 25, 10))) == 156


def test_a_group_holds_all_seeds_of_its_learning_rates():
    for runs in plan_chunks(Protocol(), 13, 12):
        cells = [(run.layer, run.learning_rate) for run in runs]
        assert all(cells.count(cell) == 5 for cell in cells)


def test_a_layer_that_the_model_lacks_is_an_error():
    with pytest.raises(ValueError, match="found layer 13, expected some of 0, .*12, all"):
        layer_choices(Protocol(layers=(13,)), 13)


def test_a_single_state_has_no_weighted_sum():
    assert layer_choices(Protocol(), 1) == [0]


def test_all_windows_of_a_clip_are_in_its_batch_once():
    data = rows(10, windows=3)
    seen = []
    for batch in SeedStreams([5], "cpu").epoch(data, 4, None):
        seen += batch.rows[0][batch.weights[0] > 0].tolist()
    assert sorted(seen) == list(range(len(data.states[0])))


def test_crops_stay_within_their_clip():
    data = rows(10, windows=3)
    wide = Rows(data.states, torch.full((10,), 2), data.clips, data.targets)
    for batch in SeedStreams([5, 6], "cpu").epoch(wide, 10, 1):
        for seed in range(2):
            assert sorted((batch.rows[seed] // 2).tolist()) == list(range(10))


def _stop_after(runs: int):
    def report(done: int, total: int) -> None:
        if done >= runs:
            raise KeyboardInterrupt

    return report
