"""Learning rates per parameter under one schedule."""

import pytest
import torch
from omegaconf import OmegaConf

from mert_fairseq.optimizers.layerwise_adam import LayerwiseAdam, LayerwiseAdamConfig, lr_scale, set_lr_scale

BETAS = "(0.9, 0.98)"


def optimizer_of(scales, lr=0.1):
    parameters = [torch.nn.Parameter(torch.ones(1)) for _ in scales]
    for parameter, scale in zip(parameters, scales, strict=True):
        if scale is not None:
            set_lr_scale([parameter], scale)
    cfg = OmegaConf.create({**vars(LayerwiseAdamConfig(lr=[lr], tpu=False)), "adam_betas": BETAS, "adam_eps": 1e-12})
    return parameters, LayerwiseAdam(cfg, parameters)


def step(parameters, optimizer):
    for parameter in parameters:
        parameter.grad = torch.ones(1)
    optimizer.step()


def test_steps_are_proportional_to_the_scale_and_follow_the_schedule():
    parameters, optimizer = optimizer_of([None, 0.5, 0.01])
    step(parameters, optimizer)  # Adam's first step is the rate
    torch.testing.assert_close([1 - p.item() for p in parameters], [0.1, 0.05, 0.001], rtol=1e-4, atol=0)
    optimizer.set_lr(0.2)
    before = [p.item() for p in parameters]
    step(parameters, optimizer)
    moved = [old - p.item() for old, p in zip(before, parameters, strict=True)]
    torch.testing.assert_close(moved, [0.2, 0.1, 0.002], rtol=1e-4, atol=0)
    assert optimizer.get_lr() == 0.2


def test_a_checkpoint_restores_moments_but_not_rates():
    parameters, optimizer = optimizer_of([1.0, 0.5])
    step(parameters, optimizer)
    state = optimizer.state_dict()
    parameters, other = optimizer_of([1.0, 0.25], lr=0.3)
    other.load_state_dict(state, other.optimizer_config)
    assert sorted(group["lr"] for group in other.param_groups) == pytest.approx([0.075, 0.3])
    assert other.get_lr() == 0.3
    for parameter in parameters:
        assert other.optimizer.state[parameter]["step"] == 1


def test_flat_parameters_are_not_supported_since_they_have_no_scales():
    _, optimizer = optimizer_of([1.0])
    assert not optimizer.supports_flat_params


def test_the_default_scale_is_1():
    assert lr_scale(torch.nn.Parameter(torch.ones(1))) == 1.0
