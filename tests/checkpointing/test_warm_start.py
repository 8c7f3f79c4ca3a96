"""model.pretrained_weights starts a model from the conv stack and Transformer of a checkpoint, with new heads."""

import logging
from pathlib import Path

import pytest
import torch
from fairseq import tasks
from omegaconf import OmegaConf
from tiny_checkpoint import SMALL, write_checkpoint
from tiny_mert import save_tiny_mert, tiny_mert

from mert_fairseq.checkpointing.warm_start import is_head
from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.mert_config import MERTConfig
from mert_fairseq.tasks.pretraining_config import MERTPretrainingConfig


@pytest.fixture
def donor(tmp_path):
    return save_tiny_mert(tmp_path / "donor.pt"), str(tmp_path / "donor.pt")


def equal(one: torch.nn.Module, other: torch.nn.Module, names: list[str]) -> list[bool]:
    states = one.state_dict(), other.state_dict()
    return [torch.equal(states[0][name], states[1][name]) for name in names]


def test_conv_stack_and_transformer_are_loaded_under_heads_of_other_sizes(donor, caplog):
    theirs, path = donor
    torch.manual_seed(1)
    with caplog.at_level(logging.INFO):
        model = tiny_mert(pretrained_weights=path, final_dim=6, audio_cqt_bins=336)
    names = list(model.state_dict())
    body = [name for name in names if not is_head(name)]
    assert sum(name.startswith("encoder.layers.") for name in body) == 3 * 16
    assert all(equal(model, theirs, body))
    report = caplog.text
    assert f"model.pretrained_weights {path}: loaded {len(body)} of {len(names)} tensors" in report
    assert "heads 0 of 5" in report
    assert "label_embs_concat (found (40, 16), expected (40, 6))" in report
    assert "encoder_cqt_model.fc.weight (found (84, 16), expected (336, 16))" in report


def test_heads_of_the_same_labels_are_loaded_too(donor):
    theirs, path = donor
    model = tiny_mert(pretrained_weights=path)
    assert all(equal(model, theirs, list(model.state_dict())))


def test_a_deeper_model_starts_from_the_layers_of_the_checkpoint(donor, caplog):
    theirs, path = donor
    with caplog.at_level(logging.INFO):
        model = tiny_mert(pretrained_weights=path, encoder_layers=4)
    assert all(equal(model, theirs, list(theirs.state_dict())))
    assert "encoder.layers.3.fc1.bias (found none, expected (24,))" in caplog.text
    with caplog.at_level(logging.INFO):
        tiny_mert(pretrained_weights=path, encoder_layers=2)
    assert "not used: encoder.layers.2." in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"encoder_embed_dim": 32},
            r"no layer of its Transformer fits this model's: encoder\.layers\.0\.fc1\.weight \(found \(24, 16\), "
            r"expected \(24, 32\)\)\. Set model\.encoder_embed_dim",
        ),
        (
            {"conv_feature_layers": "[(4,10,5)] + [(4,3,2)] * 4 + [(4,2,2)] * 2"},
            r"its conv stack does not fit this model's: feature_extractor\.conv_layers\.0\.0\.weight \(found "
            r"\(8, 1, 10\), expected \(4, 1, 10\)\)\. Set model\.front_end, conv_feature_layers",
        ),
    ],
)
def test_a_checkpoint_whose_conv_stack_or_transformer_does_not_fit_is_refused_by_name(donor, options, message):
    _, path = donor
    with pytest.raises(ValueError, match=rf"model\.pretrained_weights .*donor\.pt: {message}"):
        tiny_mert(pretrained_weights=path, **options)


def test_a_truncated_checkpoint_is_refused_by_name(donor):
    _, path = donor
    Path(path).write_bytes(Path(path).read_bytes()[:5_000])
    with pytest.raises(ValueError, match=r"donor\.pt: damaged, not a fairseq checkpoint"):
        tiny_mert(pretrained_weights=path)


@pytest.mark.parametrize(("label", "new"), [("rvq_0", False), ("mfcc_8", True)])
def test_heads_of_other_labels_are_new_even_if_they_have_the_same_size(tmp_path, caplog, label, new):
    """The same code of another teacher means a different sound."""
    donor = write_checkpoint(tmp_path / "donor.pt")
    (tmp_path / f"dict.{label}.txt").write_text("".join(f"{code} 1\n" for code in range(8)))
    options = {"data": str(tmp_path), "labels": [label], "label_rate": 75.0, "sample_rate": 24_000}
    cfg = OmegaConf.merge(OmegaConf.structured(MERTPretrainingConfig), options, {"_name": "mert_pretraining"})
    own = OmegaConf.merge(OmegaConf.structured(MERTConfig), SMALL, {"pretrained_weights": str(donor)})
    with caplog.at_level(logging.INFO):
        model = MERTModel.build_model(own, tasks.setup_task(cfg))
    theirs = torch.load(donor)["model"]
    assert torch.equal(model.encoder.layers[1].fc1.weight, theirs["encoder.layers.1.fc1.weight"])
    assert torch.equal(model.label_embs_concat, theirs["label_embs_concat"]) != new
    assert torch.equal(model.final_proj.weight, theirs["final_proj.weight"]) != new
    assert ("was trained on the labels ['rvq_0']: the heads of the codes are new" in caplog.text) == new
