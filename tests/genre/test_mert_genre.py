"""The genre classifier on a pretrained MERT: what is loaded, what learns, what is averaged."""

from types import SimpleNamespace

import pytest
import torch
from tiny_mert import save_tiny_mert

from mert_fairseq.genre.audio.model import MERTGenreConfig, MERTGenreModel
from mert_fairseq.optimizers.layerwise_adam import lr_scale

GENRES = 4


def task_of(sample_rate=24_000, state=None):
    return SimpleNamespace(
        vocabulary=range(GENRES),
        cfg=SimpleNamespace(sample_rate=sample_rate),
        state=SimpleNamespace(state_dict={} if state is None else state),
    )


def build(path, task=None, **options) -> MERTGenreModel:
    return MERTGenreModel.build_model(MERTGenreConfig(checkpoint=str(path), **options), task or task_of())


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("pretrained") / "mert.pt"
    save_tiny_mert(path)
    return path


def waves(clips=3, samples=8_000):
    return torch.randn(clips, samples, generator=torch.Generator().manual_seed(1))


def train_some_steps(model, steps=3):
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01, weight_decay=0.1)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(waves()), torch.arange(3)).backward()
        optimizer.step()


@pytest.mark.parametrize("options", [{}, {"layer_norm_first": True}, {"front_end": "spectral"}])
def test_the_encoder_is_the_pretrained_one(tmp_path, options):
    pretrained = save_tiny_mert(tmp_path / "mert.pt", **options).eval()
    model = build(tmp_path / "mert.pt").eval()
    with torch.no_grad():
        expected, _ = pretrained.extract_features(waves())
        torch.testing.assert_close(model.mert.extract_features(waves())[0], expected, rtol=0, atol=0)
        layers = [pretrained.extract_features(waves(), ret_conv=True)[0]]
        layers += [pretrained.extract_features(waves(), output_layer=layer)[0] for layer in (1, 2)]
        mean = sum(torch.nn.functional.layer_norm(x, x.shape[-1:]) for x in (*layers, expected)) / 4
        torch.testing.assert_close(model.embed(waves()), mean.mean(1))


@pytest.mark.parametrize(("finetune_layers", "learning"), [(0, set()), (1, {2}), (2, {1, 2}), (3, {0, 1, 2})])
def test_frozen_layers_stay_bit_for_bit_and_in_evaluation_mode(checkpoint, finetune_layers, learning):
    model = build(checkpoint, finetune_layers=finetune_layers)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train_some_steps(model)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    of_mert = {name for name in changed if name.startswith("mert.")}
    assert {int(name.split(".")[3]) for name in of_mert} == learning
    assert all(name.startswith("mert.encoder.layers.") for name in of_mert)
    assert {"layer_mixture.logits", "pooling.score.weight", "head.1.weight"} <= changed
    assert model.training
    assert not model.mert.feature_extractor.training
    assert [layer.training for layer in model.mert.encoder.layers] == [layer in learning for layer in range(3)]


def test_everything_but_the_mask_embedding_learns_when_mert_is_fine_tuned_wholly(checkpoint):
    model = build(checkpoint, finetune_layers=-1)
    before = {name: value.clone() for name, value in model.named_parameters()}
    train_some_steps(model)
    same = {name for name, value in model.named_parameters() if torch.equal(value, before[name])}
    # a key's bias shifts all scores of a query alike, so its gradient is rounding
    assert {name for name in same if "k_proj.bias" not in name} == {"mert.mask_emb"}
    assert model.mert.encoder.layers[0].training


def test_frozen_features_do_not_depend_on_the_draws_of_training(checkpoint):
    model = build(checkpoint, finetune_layers=0).train()
    torch.testing.assert_close(model.embed(waves()), model.embed(waves()), rtol=0, atol=0)


def test_rates_fall_with_depth(checkpoint):
    model = build(checkpoint, encoder_lr_scale=0.1, layer_lr_decay=0.5)
    layers = model.mert.encoder.layers
    assert [lr_scale(layer.fc1.weight) for layer in layers] == pytest.approx([0.025, 0.05, 0.1])
    assert lr_scale(model.mert.post_extract_proj.weight) == pytest.approx(0.0125)
    assert lr_scale(next(model.mert.feature_extractor.parameters())) == pytest.approx(0.0125)
    assert {lr_scale(parameter) for parameter in model.head.parameters()} == {1.0}


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_padding_changes_nothing(checkpoint, pooling):
    model = build(checkpoint, pooling=pooling).eval()
    # 19 and 60 frames; at these lengths fairseq's rule for which frames are padding is exact
    wave = waves(clips=1, samples=6_160)
    padded = torch.zeros(2, 19_599)
    padded[0, :6_160], padded[1] = wave[0], waves(clips=1, samples=19_599)[0]
    mask = torch.zeros(2, 19_599, dtype=torch.bool)
    mask[0, 6_160:] = True
    with torch.no_grad():
        torch.testing.assert_close(model(padded, mask)[0], model(wave)[0], rtol=1e-4, atol=1e-5)
        assert not torch.allclose(model(padded)[0], model(wave)[0], atol=1e-3)


def test_clips_of_a_track_are_averaged(checkpoint):
    model = build(checkpoint).eval()
    source = waves(clips=6)
    with torch.no_grad():
        each = model(source)
        tracks = model(source, clips_per_track=torch.tensor([1, 3, 2]))
    torch.testing.assert_close(tracks, torch.stack([each[0], each[1:4].mean(0), each[4:].mean(0)]))


def test_sixteen_bit_clips_are_the_same_as_floats(checkpoint):
    model = build(checkpoint).eval()
    pcm = (waves() * 3_000).short()
    with torch.no_grad():
        torch.testing.assert_close(model(pcm), model(pcm.float() / 32_768))


def test_a_model_is_built_again_from_the_state_only(checkpoint):
    state = {}
    trained = build(checkpoint, task_of(state=state), finetune_layers=1).eval()
    again = build("/no/such/file.pt", task_of(state=state), finetune_layers=1).eval()
    again.load_state_dict(trained.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(again(waves()), trained(waves()), rtol=0, atol=0)


def test_clips_are_normalised_where_the_pretraining_did_so(tmp_path):
    save_tiny_mert(tmp_path / "mert.pt", normalize=True)
    model = build(tmp_path / "mert.pt").eval()
    with torch.no_grad():
        torch.testing.assert_close(model(waves()), model(0.01 * waves() + 0.5), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"finetune_layers": 4}, r"finetune_layers is 4, expected 0 \(frozen\) to 3"),
        ({"finetune_layers": -2}, "finetune_layers is -2"),
        ({"layer_lr_decay": 1.5}, "layer_lr_decay 1.5, expected"),
        ({"encoder_lr_scale": 0.0}, "set model.finetune_layers: 0"),
        ({"head_dropout": 1.0}, "head_dropout is 1.0"),
        ({"pooling": "max"}, "model.pooling is 'max'"),
    ],
)
def test_options_out_of_range_are_errors(checkpoint, options, message):
    with pytest.raises(ValueError, match=message):
        build(checkpoint, **options)


def test_checkpoints_that_do_not_match_are_errors(checkpoint, tmp_path):
    with pytest.raises(ValueError, match="was trained at 24000 Hz, but task.sample_rate is 16000 Hz"):
        build(checkpoint, task_of(sample_rate=16_000))
    with pytest.raises(ValueError, match="model.checkpoint is empty"):
        build("")
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        build(tmp_path / "none.pt")
    state = torch.load(checkpoint, weights_only=True)
    state["cfg"]["model"]["_name"] = "hubert"
    torch.save(state, tmp_path / "hubert.pt")
    with pytest.raises(ValueError, match="checkpoint of the model 'hubert', expected 'mert'"):
        build(tmp_path / "hubert.pt")
    state["cfg"]["model"]["_name"] = "mert"
    del state["model"]["encoder.layers.2.fc1.weight"]
    torch.save(state, tmp_path / "cut.pt")
    with pytest.raises(ValueError, match="encoder.layers.2.fc1.weight"):
        build(tmp_path / "cut.pt")
