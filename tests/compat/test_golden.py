"""Equality with the reference implementation: losses, features, logs and gradient norms, to 1e-4 relative."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fairseq.criterions.hubert_criterion import HubertCriterion
from fairseq.data.dictionary import Dictionary

from mert_fairseq.criterions.mert_criterion import MERTCriterion
from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.mert_config import MERTConfig
from mert_fairseq.options import number_list

pytestmark = pytest.mark.shared
CASES = ["post_norm", "pre_norm_relaxed", "deepnorm_padded", "tied_mel"]


def _model_config(fields: dict) -> MERTConfig:
    fields = {name: value for name, value in fields.items() if name != "_name"}
    fields["latent_temp"] = tuple(number_list("latent_temp", fields["latent_temp"]))
    return MERTConfig(**fields)


@pytest.fixture(params=CASES)
def case(request, shared_dir):
    """One golden case: its arrays, the model with its weights (dropout off), and the sample."""
    arrays = dict(np.load(shared_dir / "golden" / f"{request.param}.npz"))
    config = json.loads(bytes(arrays.pop("config")).decode())
    codebooks, codes = config["num_codebooks"], config["codebook_size"]
    model = MERTModel(_model_config(config["model"]), config["sample_rate"], [codes + 4] * codebooks)
    model.load_state_dict({n[6:]: torch.from_numpy(a) for n, a in arrays.items() if n.startswith("param/")})
    target = torch.from_numpy(arrays["in/target"].astype(np.int64))
    sample = {
        "id": torch.arange(len(target)),
        "target_list": [target[..., q] for q in range(codebooks)],
        "net_input": {
            "source": torch.from_numpy(arrays["in/source"]),
            "padding_mask": torch.from_numpy(arrays["in/padding_mask"]),
            "mask_indices": torch.from_numpy(arrays["in/mask"]),
        },
    }
    dictionary = Dictionary()
    for code in range(codes):
        dictionary.add_symbol(str(code), 1)
    task = SimpleNamespace(dictionaries=[dictionary] * codebooks)
    return SimpleNamespace(arrays=arrays, config=config, model=model.eval(), sample=sample, task=task)


def _close(actual, expected, what: str = "", rtol: float = 1e-4, atol: float = 0.0) -> None:
    np.testing.assert_allclose(torch.as_tensor(actual).detach().numpy(), expected, rtol=rtol, atol=atol, err_msg=what)


def test_cross_entropy_of_each_frame_and_codebook(case):
    net_output = case.model(target_list=case.sample["target_list"], **case.sample["net_input"])
    entropy = torch.stack([F.cross_entropy(p.logits, p.targets, reduction="none") for p in net_output["masked"]], 1)
    _close(entropy, case.arrays["out/cross_entropy"])
    for name in ("features_pen", "cqt_pred_m", "mel_pred_m"):
        assert (name in net_output) == (f"out/{name}" in case.arrays)
        if name in net_output:
            _close(net_output[name], case.arrays[f"out/{name}"], name)


def test_features_of_the_last_and_the_first_layer(case):
    source, padding = (case.sample["net_input"][name] for name in ("source", "padding_mask"))
    whole = ~padding.any(1)  # published features of padded clips depend on the padding, ours do not
    for output_layer, name in ((None, "out/features"), (1, "out/layer1")):
        features, padded = case.model.extract_features(source, padding, output_layer=output_layer)
        # Features may be near zero, so the tolerance is relative to the largest one.
        expected = case.arrays[name]
        _close(features[whole], expected[whole.numpy()], name, atol=1e-4 * np.abs(expected).max())
        assert not padded[whole].any()
        for clip in (~whole).nonzero().flatten():
            alone, _ = case.model.extract_features(source[clip, ~padding[clip]][None], output_layer=output_layer)
            torch.testing.assert_close(features[clip, ~padded[clip]], alone[0], rtol=1e-5, atol=1e-5)


def _mert(case) -> MERTCriterion:
    penalty, cqt, *mel = case.config["loss_weights"]
    return MERTCriterion(case.task, features_pen_weight=penalty, cqt_weight=cqt, mel_weight=(mel or [1.0])[0])


def _hubert(case) -> HubertCriterion:
    return HubertCriterion(case.task, 1.0, 0.0, loss_weights=case.config["loss_weights"])


@pytest.mark.parametrize("criterion", [_mert, _hubert])
def test_loss_logged_sums_and_gradient_norms(case, criterion):
    loss, sample_size, log = criterion(case)(case.model, case.sample)
    assert sample_size == case.arrays["out/sample_size"]
    _close(loss, case.arrays["out/loss"], "loss")
    logged = {name[4:]: value for name, value in case.arrays.items() if name.startswith("log/")}
    assert set(logged) <= set(log)
    for name, value in logged.items():
        _close(log[name], value, name)
    loss.backward()
    for name, parameter in case.model.named_parameters():
        # A key's bias cancels in the softmax, so its gradient is only rounding error.
        atol = 1e-5 if name.endswith("k_proj.bias") else 0.0
        _close(parameter.grad.norm(), case.arrays[f"grad_norm/{name}"], name, atol=atol)
