"""A step that overflows: skipped in fp16, an error that names the terms in bf16 and float32; validation continues."""

import math
from types import SimpleNamespace

import pytest
import torch
from fairseq.logging import metrics
from tiny_mert import tiny_mert
from tiny_trainer import config, make_trainer, mert_criterion, mert_sample

from mert_fairseq.distributed.training_stats import ignore_nonfinite_losses


def _overflowing_in(model, forward_pass: int) -> None:
    """Let the encoder's output exceed float16's largest number, 65,504, in one forward pass."""
    passes = []

    def overflow(module, inputs, output):
        passes.append(1)
        x, layers = output
        return (x * math.inf, layers) if len(passes) == forward_pass else None

    model.encoder.register_forward_hook(overflow)


@pytest.fixture
def trainer_of(monkeypatch, tmp_path):
    metrics.reset()
    torch.manual_seed(0)

    def make(precision: str, overflow_in: int, **options):
        model = tiny_mert(dropout=0.0, encoder_layerdrop=0.0)
        _overflowing_in(model, overflow_in)
        return make_trainer(monkeypatch, tmp_path, config(precision, **options), model, mert_criterion())

    return make


@pytest.mark.parametrize("precision", ["fp16", "fp16_not_flat"])
def test_a_forward_pass_that_overflows_in_fp16_costs_one_update_and_lowers_the_scale(trainer_of, precision):
    trainer = trainer_of(precision, 3)
    made = [trainer.train_step([mert_sample()]) is not None for _ in range(8)]
    assert made == [True, True, False, True, True, True, True, True]
    assert trainer.get_num_updates() == 7
    assert trainer.optimizer.scaler.loss_scale == 64  # from 128
    assert all(torch.isfinite(weights).all() for weights in trainer.model.parameters())


@pytest.mark.parametrize("precision", ["bf16", "float32"])
@pytest.mark.parametrize("micro_batch", [1, 2])
def test_a_loss_that_is_not_finite_ends_other_precisions_and_names_the_terms(trainer_of, precision, micro_batch):
    trainer = trainer_of(precision, 2 + micro_batch)
    trainer.train_step([mert_sample(), mert_sample()])
    before = [weights.clone() for weights in trainer.model.parameters()]
    with pytest.raises(FloatingPointError) as error:
        trainer.train_step([mert_sample(), mert_sample()])
    message = str(error.value)
    assert "the loss is not finite at update 1" in message
    assert "'loss_m_0': nan" in message
    assert "'loss_cqt_pred_m'" in message
    assert "loss_features_pen" not in message
    assert "lower the learning rate" in message
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))


def test_gradients_that_are_not_finite_with_a_finite_loss_are_named(trainer_of):
    trainer = trainer_of("float32", 0)
    trainer.get_model().mask_emb.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(FloatingPointError, match="the gradients are not finite at update 0, although all terms"):
        trainer.train_step([mert_sample()])


def test_a_loss_of_infinity_with_finite_gradients_is_found_too(trainer_of):
    trainer = trainer_of("float32", 0)
    criterion = trainer.get_criterion()
    forward = criterion.forward
    criterion.forward = lambda *args: (lambda loss, size, log: (loss, size, {**log, "loss": log["loss"] + math.inf}))(
        *forward(*args)
    )
    with pytest.raises(FloatingPointError, match=r"the loss is not finite at update 0: {'loss': inf}"):
        trainer.train_step([mert_sample()])


def test_a_loss_scale_at_its_minimum_ends_fp16_and_names_the_terms(trainer_of):
    trainer = trainer_of("fp16", 1, common__min_loss_scale=100.0)
    with pytest.raises(
        FloatingPointError, match=r"Minimum loss scale reached.*not finite at update 0: {'loss_cqt_pred_m': nan"
    ):
        trainer.train_step([mert_sample()])


@pytest.mark.parametrize("precision", ["fp16", "bf16", "float32"])
def test_a_validation_loss_that_is_not_finite_is_logged_and_validation_continues(trainer_of, precision):
    trainer = trainer_of(precision, 1)
    assert math.isnan(trainer.valid_step(mert_sample())["loss"])
    assert math.isfinite(trainer.valid_step(mert_sample())["loss"])


def test_a_validation_loss_that_is_not_finite_is_never_the_best(caplog):
    trainer = SimpleNamespace(get_num_updates=lambda: 7)
    validate = ignore_nonfinite_losses(lambda *args: [math.nan, 1.5, None])
    assert validate(None, trainer) == [None, 1.5, None]
    assert "the validation loss at update 7 is nan: training continues" in caplog.text
