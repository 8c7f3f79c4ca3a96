"""Half precision: checkpoints restore float32 weights bit for bit; few kernels per update."""

from types import SimpleNamespace

import pytest
import torch
from fairseq.logging import metrics
from fairseq.optim import AMPOptimizer
from omegaconf import OmegaConf
from tiny_trainer import Layers, Square, config, make_trainer, resume, train
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mert_fairseq.optimizers import half_precision

HALF = ["fp16", "fp16_not_flat", "bf16"]


@pytest.fixture
def trainer_of(monkeypatch, tmp_path):
    metrics.reset()

    def make(precision: str, optimizer: str = "fused_adamw", **options):
        torch.manual_seed(0)
        return make_trainer(monkeypatch, tmp_path, config(precision, optimizer, **options), Layers(), Square())

    return make


def _masters(trainer) -> list[torch.Tensor]:
    masters = trainer.optimizer.fp32_params
    return list(masters.values()) if isinstance(masters, dict) else masters


@pytest.mark.parametrize("optimizer", ["adam", "fused_adamw"])
@pytest.mark.parametrize("precision", HALF)
def test_master_weights_are_bit_identical_after_a_resume_and_later_updates(trainer_of, tmp_path, precision, optimizer):
    window = {"common__fp16_scale_window": 4}  # the loss scale rises after the resume
    straight = trainer_of(precision, optimizer, **window)
    train(straight, range(3))
    resumed = resume(straight, trainer_of(precision, optimizer, **window), tmp_path)
    assert any((weights != weights.half().float()).any() for weights in _masters(straight))
    for _ in range(2):
        for expected, found in zip(_masters(straight), _masters(resumed), strict=True):
            assert torch.equal(found, expected)
        for expected, found in zip(straight.model.parameters(), resumed.model.parameters(), strict=True):
            assert torch.equal(found, expected)
        if straight.optimizer.scaler is not None:
            assert resumed.optimizer.scaler.loss_scale == straight.optimizer.scaler.loss_scale
        for trainer in (straight, resumed):
            train(trainer, range(3, 6))


def test_a_checkpoint_without_master_weights_loads_with_a_warning(trainer_of, caplog):
    trainer, other = trainer_of("bf16"), trainer_of("bf16")
    train(trainer, range(2))
    old = trainer.optimizer.state_dict()
    del old["master_weights"]
    other.model.load_state_dict(trainer.model.state_dict())
    other._build_optimizer()
    other.optimizer.load_state_dict(old)
    assert "no float32 master weights" in caplog.text
    for half, master in zip(trainer.model.parameters(), _masters(other), strict=True):
        assert torch.equal(half.float(), master)


def test_master_weights_of_another_precision_are_an_error_with_the_remedy(trainer_of):
    flat, single = trainer_of("fp16"), trainer_of("bf16")
    train(flat, range(1))
    expected = (
        r"holds 1 tensors .* \(the first \(2160,\)\), this run has 216 .*Set common.fp16, common.bf16 and common.fp16"
    )
    with pytest.raises(ValueError, match=expected):
        single.optimizer.load_state_dict(flat.optimizer.state_dict())


def test_memory_efficient_fp16_has_no_master_weights_and_resumes_exactly(trainer_of, tmp_path):
    options = {"common__memory_efficient_fp16": True}
    straight = trainer_of("fp16", "adam", **options)
    train(straight, range(3))
    resumed = resume(straight, trainer_of("fp16", "adam", **options), tmp_path)
    for trainer in (straight, resumed):
        train(trainer, range(3, 6))
    for expected, found in zip(straight.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(found, expected)


class _Launches(TorchDispatchMode):
    """Records operations that run a kernel: all except views, allocations and reads of scalars."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if not func.is_view and func.overloadpacket.__name__ not in (
            "detach",
            "lift_fresh",
            "empty",
            "_local_scalar_dense",
        ):
            self.names.append(str(func))
        return func(*args, **kwargs or {})


@pytest.mark.parametrize("precision", ["float32", *HALF])
def test_an_optimizer_step_with_clipping_takes_at_most_60_kernels_at_216_parameters(trainer_of, precision):
    trainer = trainer_of(precision)
    train(trainer, range(2))
    seen = {}

    def counted(name, function):
        def call(*args, **kwargs):
            with _Launches() as launches:
                result = function(*args, **kwargs)
            seen[name] = launches.names
            return result

        return call

    for name in ("zero_grad", "multiply_grads", "clip_grad_norm", "step"):
        setattr(trainer.optimizer, name, counted(name, getattr(trainer.optimizer, name)))
    train(trainer, range(2, 3))
    assert seen.keys() == {"zero_grad", "multiply_grads", "clip_grad_norm", "step"}
    assert any("_fused_adamw" in name for name in seen["step"])
    assert sum(map(len, seen.values())) <= 60, seen


def test_amp_divides_the_gradients_by_the_loss_scale_once(monkeypatch):
    for owner, name, replacement in half_precision.REPLACED:
        monkeypatch.setattr(owner, name, replacement)
    weight = nn.Parameter(torch.zeros(1))
    common = {"fp16_init_scale": 128, "min_loss_scale": 1e-4}
    cfg = OmegaConf.create({"optimizer": {}, "common": common})
    plain = torch.optim.SGD([weight], lr=1.0)
    wrapped = SimpleNamespace(
        optimizer=plain, step=plain.step, param_groups=plain.param_groups, clip_grad_norm=lambda *_: weight.grad.norm()
    )
    amp = AMPOptimizer(cfg, [weight], wrapped)
    amp._grad_scaler = torch.amp.GradScaler("cpu", init_scale=128)
    amp.backward((3 * weight).sum())
    assert weight.grad.item() == 3 * 128
    assert amp.clip_grad_norm(0.0).item() == 3
    amp.step()
    assert weight.item() == -3  # 3 / 128 if divided twice
