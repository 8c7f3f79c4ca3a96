"""The faster modules for a CPU, against the plain ones."""

import pytest
import torch
from hubert_twin import noise, save_twins
from tiny_mert import tiny_mert
from torch import nn

from mert_fairseq.extraction import cpu_speed, load_encoder
from mert_fairseq.extraction.model_batches import Precision
from mert_fairseq.frames import ConvLayer
from mert_fairseq.modules.conv_stack import ConvStack

CONV_LAYERS = [ConvLayer(8, 10, 5), ConvLayer(12, 3, 2), ConvLayer(6, 2, 2)]  # hop 20, a frame sees 30 samples


def conv_stack(mode: str, bias: bool = False) -> ConvStack:
    """A stack with random norms and biases."""
    torch.manual_seed(0)
    stack = ConvStack(CONV_LAYERS, mode, bias).eval()
    for parameter in stack.parameters():
        nn.init.normal_(parameter, std=0.5)
    return stack


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("mode", ["default", "layer_norm"])
@pytest.mark.parametrize("samples", [30, 49, 50, 20 * 74 + 30, 20 * 75 + 30, 20 * 200 + 37])
@torch.no_grad()
def test_pieces_equal_one_pass_over_the_clip(mode, bias, samples):
    stack = conv_stack(mode, bias)
    waves = noise(samples, clips=2) * torch.tensor([[1.0], [0.05]]) + 0.1
    frames = cpu_speed.PiecewiseConvStack(stack.conv_layers)(waves)
    assert frames.shape == (2, 6, (samples - 30) // 20 + 1)
    torch.testing.assert_close(frames, stack.double()(waves.double()).float(), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_silence_has_finite_frames():
    stack = conv_stack("default")
    waves = torch.zeros(1, 4_000)
    torch.testing.assert_close(cpu_speed.PiecewiseConvStack(stack.conv_layers)(waves), stack(waves))


@pytest.mark.parametrize("bias", [False, True])
def test_a_onednn_linear_equals_torchs(bias):
    layer = nn.Linear(24, 40, bias)
    fast = cpu_speed.OneDNNLinear(layer)
    x = torch.randn(2, 33, 24).transpose(0, 1)
    with torch.no_grad():
        torch.testing.assert_close(fast(x), layer(x), atol=1e-6, rtol=1e-6)
    fast(x).sum().backward()  # with gradients it is torch's own
    assert layer.weight.grad is not None


def test_without_onednn_the_values_stay(monkeypatch, tmp_path):
    save_twins(tmp_path, group_norm=True)
    with_onednn = load_encoder(tmp_path / "mert.pt", "cpu").layers(noise(24_000))
    monkeypatch.setattr(cpu_speed, "HAS_ONEDNN", False)
    torch.testing.assert_close(load_encoder(tmp_path / "mert.pt", "cpu").layers(noise(24_000)), with_onednn)


@pytest.mark.parametrize("layer_type", ["transformer", "conformer"])
def test_parameters_keep_their_names(layer_type):
    model = tiny_mert(layer_type=layer_type)
    names = list(model.state_dict())
    cpu_speed.speed_up(model)
    assert list(model.state_dict()) == names
    assert not any(type(module) is nn.Linear for module in model.modules())


@pytest.mark.parametrize("path", ["mert.pt", "hubert"])
def test_encoders_on_a_cpu_are_sped_up(path, tmp_path):
    save_twins(tmp_path, group_norm=True)
    model = load_encoder(tmp_path / path, "cpu").model
    assert isinstance(model.feature_extractor, cpu_speed.PiecewiseConvStack)
    assert any(isinstance(module, cpu_speed.OneDNNLinear) for module in model.encoder.modules())


def test_bfloat16_runs_through_torchs_own_linear(tmp_path):
    save_twins(tmp_path, group_norm=True)
    encoder = load_encoder(tmp_path / "mert.pt", "cpu")
    precision = Precision(encoder, range(4), bf16=True)
    precision.layers(noise(24_000))
    assert 1e-4 < precision.error < 0.1


def test_a_linear_layer_can_be_compiled():
    layer = cpu_speed.OneDNNLinear(torch.nn.Linear(6, 4))
    x = torch.randn(3, 6)
    with torch.inference_mode():
        compiled = torch.compile(layer, backend="inductor")(x)
        torch.testing.assert_close(compiled, layer(x))
