"""Checkpoints with the parameters of the published models load; other keys are errors that name the key."""

import re
from pathlib import Path

import pytest
import torch
import yaml

from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.mert_config import MERTConfig

CLASSES = [1028] * 8
SIZES = {"95M": 95_550_160, "330M": 317_875_664}


def _recipe_model(shared_dir: Path, size: str) -> MERTModel:
    recipes = yaml.safe_load((shared_dir / "reference/published_recipes.yaml").read_text())
    fields = {k: v for k, v in recipes[size]["model"].items() if k not in ("_name", "label_rate")}
    return MERTModel(MERTConfig(label_rate=75.0, **fields), 24_000, CLASSES)


def _published_shapes(shared_dir: Path, size: str) -> dict[str, tuple[int, ...]]:
    text = (shared_dir / "reference/state_dict_keys.txt").read_text()
    section = text.split(f"## {size}:")[1].split("\n##")[0]
    found = re.findall(r"^(\S+) \[([\d, ]*)\]$", section, re.MULTILINE)
    return {name: tuple(int(n) for n in shape.split(",") if n.strip()) for name, shape in found}


@pytest.fixture(scope="module", params=SIZES)
def published(request, shared_dir):
    """A recipe's model, and the published keys with tensors of their shapes, all without memory."""
    model = _recipe_model(shared_dir, request.param).to("meta")
    with torch.device("meta"):
        state = {name: torch.empty(shape) for name, shape in _published_shapes(shared_dir, request.param).items()}
    return request.param, model, state


def _load(model: MERTModel, state: dict) -> None:
    model.load_state_dict(dict(state), strict=True)


@pytest.mark.shared
def test_published_keys_load_and_the_stored_cqt_kernels_are_not_saved_again(published):
    _, model, state = published
    _load(model, state)
    assert set(model.state_dict()) == {key for key in state if "spec_layer" not in key}


@pytest.mark.shared
def test_parameter_counts_are_those_of_the_paper(published):
    size, model, _ = published
    assert sum(p.numel() for p in model.parameters()) == SIZES[size]


@pytest.mark.shared
def test_errors_name_missing_unknown_and_wrongly_shaped_keys(published):
    _, model, state = published
    missing = {k: v for k, v in state.items() if k != "encoder.layers.3.fc1.bias"}
    with pytest.raises(RuntimeError, match=r"encoder\.layers\.3\.fc1\.bias"):
        _load(model, missing)
    with pytest.raises(RuntimeError, match=r"encoder\.layers\.0\.gate"):
        _load(model, {**state, "encoder.layers.0.gate": torch.empty(1, device="meta")})
    with pytest.raises(RuntimeError, match="mask_emb"):
        _load(model, {**state, "mask_emb": torch.empty(5, device="meta")})


def test_teachers_have_no_parameters_or_buffers():
    fields = {"encoder_embed_dim": 16, "encoder_attention_heads": 4, "encoder_layers": 1, "encoder_ffn_embed_dim": 16}
    config = MERTConfig(
        label_rate=75.0, audio_cqt_loss_m=True, audio_mel_loss_m=True, feature_extractor_cqt=True, **fields
    )
    names = [name for name in MERTModel(config, 24_000, [20]).state_dict() if "cqt" in name or "mel" in name]
    assert names == [f"encoder_{teacher}_model.fc.{part}" for teacher in ("cqt", "mel") for part in ("weight", "bias")]
