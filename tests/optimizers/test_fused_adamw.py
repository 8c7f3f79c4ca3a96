"""FusedAdamW: equal to fairseq's Adam except for epsilon; each loads the other's checkpoints."""

import pytest
import torch
from fairseq.logging import metrics
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig
from omegaconf import OmegaConf
from tiny_trainer import Layers, Square, config, make_trainer, resume, train

from mert_fairseq.optimizers.fused_adamw import FusedAdamW, FusedAdamWConfig, parse_betas


def _optimizer(kind, eps: float = 1e-6, **options):
    torch.manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(3, 2)), torch.nn.Parameter(torch.randn(5))]
    fields = {"lr": [0.1], "adam_betas": "(0.9, 0.98)", "adam_eps": eps, "weight_decay": 0.1, **options}
    schema = FairseqAdamConfig if kind is FairseqAdam else FusedAdamWConfig
    return parameters, kind(OmegaConf.create({**vars(schema()), "tpu": False, **fields}), parameters)


def _step(parameters, optimizer, update: int, size: float = 1.0) -> None:
    torch.manual_seed(update)
    for parameter in parameters:
        parameter.grad = size * torch.randn_like(parameter)
    optimizer.step()


def test_equals_fairseqs_adam_where_epsilon_is_negligible():
    (ours, fused), (theirs, adam) = _optimizer(FusedAdamW, 1e-30), _optimizer(FairseqAdam, 1e-30)
    for update in range(20):
        for optimizer in (fused, adam):
            optimizer.set_lr(0.1 / (1 + update))
        _step(ours, fused, update)
        _step(theirs, adam, update)
    for mine, yours in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, yours, rtol=1e-5, atol=1e-6)


def test_epsilon_is_added_to_the_corrected_moment_here_and_to_the_uncorrected_one_in_fairseq():
    """One update of gradient 1 with epsilon 1 and rate 0.1: m / bc1 = 1, sqrt(v / bc2) = 1, sqrt(bc2) = sqrt(0.02)."""
    moved = {}
    for kind in (FusedAdamW, FairseqAdam):
        parameters, optimizer = _optimizer(kind, 1.0, weight_decay=0.0)
        before = parameters[1].detach().clone()
        parameters[1].grad = torch.ones(5)
        optimizer.step()
        moved[kind] = (before - parameters[1].detach()).mean().item()
    assert moved[FusedAdamW] == pytest.approx(0.1 / (1 + 1), rel=1e-5)
    assert moved[FairseqAdam] == pytest.approx(0.1 / (1 + 1 / 0.02**0.5), rel=1e-5)


@pytest.mark.parametrize(("first", "second"), [(FairseqAdam, FusedAdamW), (FusedAdamW, FairseqAdam)])
def test_each_loads_the_moments_and_the_update_count_of_the_other(first, second):
    parameters, saved = _optimizer(first)
    for update in range(3):
        _step(parameters, saved, update)
    others, loaded = _optimizer(second, lr=[0.5])
    loaded.load_state_dict(saved.state_dict(), loaded.optimizer_config)
    assert loaded.get_lr() == 0.5
    for ours, theirs in zip(parameters, others, strict=True):
        state, expected = loaded.optimizer.state[theirs], saved.optimizer.state[ours]
        assert float(state["step"]) == 3
        assert torch.equal(state["exp_avg"], expected["exp_avg"])
        assert torch.equal(state["exp_avg_sq"], expected["exp_avg_sq"])
    _step(others, loaded, 3)
    assert loaded.state_dict()["state"][0]["step"] == 4
    assert loaded.state_dict()["state"].keys() == saved.state_dict()["state"].keys()


@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
@pytest.mark.parametrize(("first", "second"), [("adam", "fused_adamw"), ("fused_adamw", "adam")])
def test_a_run_resumes_with_the_other_optimizer(monkeypatch, tmp_path, precision, first, second):
    metrics.reset()
    trainers = []
    for optimizer in (first, second, first):
        torch.manual_seed(0)
        cfg = config(precision, optimizer)
        cfg.optimizer.adam_eps = 1e-30
        trainers.append(make_trainer(monkeypatch, tmp_path, cfg, Layers(), Square()))
    started, crossed, same = trainers
    train(started, range(3))
    for trainer in (crossed, same):
        resume(started, trainer, tmp_path)
        assert trainer.get_num_updates() == 3
        train(trainer, range(3, 6))
    for mine, yours in zip(crossed.model.parameters(), same.model.parameters(), strict=True):
        torch.testing.assert_close(mine, yours, rtol=1e-2 if precision == "bf16" else 1e-3, atol=1e-4)


def test_clipping_uses_the_norm_that_is_returned():
    parameters, optimizer = _optimizer(FusedAdamW)
    parameters[0].grad, parameters[1].grad = torch.full((3, 2), 2.0), torch.ones(5)
    assert optimizer.clip_grad_norm(0).item() == pytest.approx(29**0.5)
    assert parameters[1].grad[0].item() == 1
    assert optimizer.clip_grad_norm(1.0, lambda norm: 2 * norm).item() == pytest.approx(2 * 29**0.5)
    torch.testing.assert_close(parameters[1].grad, torch.full((5,), 1 / (2 * 29**0.5)))


@pytest.mark.parametrize("betas", ["0.9", "(0.9,)", "[0.9, x]", "__import__('os')"])
def test_betas_that_are_not_two_numbers_are_an_error(betas):
    with pytest.raises(ValueError, match=r"optimizer.adam_betas is .*, expected two numbers in \[0, 1\)"):
        parse_betas(betas)
