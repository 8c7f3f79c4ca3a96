"""Compiled parts: the same values and names, and no new graph for another mask or a dropped layer."""

import numpy as np
import pytest
import torch
from tiny_mert import tiny_mert
from torch._dynamo.testing import CompileCounter

from mert_fairseq.models.build import compile_parts

STEPS = 4


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()


def _model(**options):
    torch.manual_seed(0)
    return tiny_mert(dropout=0.0, attention_dropout=0.0, dropout_input=0.0, **options).train()


def _train(model, steps: int = STEPS) -> tuple[list[int], list[torch.Tensor], dict[str, torch.Tensor]]:
    """Masked frames and loss of each step, and the sums of the gradients."""
    torch.manual_seed(1)
    source, targets = 0.1 * torch.randn(2, 9_000), torch.randint(4, 20, (2, 2, 28))
    masked, losses = [], []
    for step in range(steps):
        output = model(source, target_list=targets, clip_seeds=np.arange(2) + 10 * step)
        losses.append(torch.stack([prediction.logits.square().mean() for prediction in output["masked"]]).sum())
        losses[-1] += output["features_pen"] + output["cqt_pred_m"]
        masked.append(len(output["masked"][0].logits))
        losses[-1].backward()
    return masked, losses, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    ("which", "graphs", "options"),
    [
        ("layers", 1, {}),
        ("layers", 1, {"checkpoint_activations": True}),
        ("all", 3, {}),
        ("all", 3, {"checkpoint_activations": True}),
        ("all", 2, {"front_end": "spectral"}),  # which has nothing to compile
    ],
)
def test_losses_gradients_and_names_are_the_same_in_one_graph_per_kind_of_part(which, graphs, options):
    options = {"encoder_layerdrop": 0.0, **options}
    plain, compiled = _model(**options), _model(**options)
    counter = CompileCounter()
    compile_parts(compiled.feature_extractor, compiled.encoder, which, backend=counter)
    masked, expected, expected_gradients = _train(plain)
    _, losses, gradients = _train(compiled)
    torch.testing.assert_close(losses, expected)
    torch.testing.assert_close(gradients, expected_gradients)
    assert len(set(masked)) > 1  # the number of masked frames differs between steps
    assert counter.frame_count == graphs  # the three layers share one graph
    assert list(compiled.state_dict()) == list(plain.state_dict())
    compiled.load_state_dict(plain.state_dict())


def test_dropped_layers_do_not_trigger_a_compilation():
    model, counter = _model(encoder_layerdrop=0.5), CompileCounter()
    compile_parts(model.feature_extractor, model.encoder, "layers", backend=counter)
    ran = [len(model.encoder(torch.randn(2, 10, 16))[1]) for _ in range(12)]
    assert len(set(ran)) > 1
    assert counter.frame_count == 1


def test_the_option_reaches_the_parts():
    assert all(
        layer._compiled_call_impl is None for layer in _model(compile=False).encoder.layers
    )  # off without quotes in YAML
    layers = _model(compile="layers")
    assert all(layer._compiled_call_impl is not None for layer in layers.encoder.layers)
    assert layers.feature_extractor._compiled_call_impl is None
    assert _model(compile="all").feature_extractor._compiled_call_impl is not None
    with pytest.raises(ValueError, match=r"model.compile is 'max', expected one of \('off', 'layers', 'all'\)"):
        _model(compile="max")
