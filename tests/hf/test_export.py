"""Exports: every layer equals the checkpoint's, what a layout cannot hold is refused, and nothing is half written."""

import hashlib
import json

import pytest
import torch
from hf.tiny_pretraining import random_wave, save_pretraining
from safetensors.torch import load_file, save_file
from transformers import AutoFeatureExtractor, AutoModel, pipeline

from mert_fairseq.extraction import load_encoder
from mert_fairseq.extraction.model_folder import read_safetensors
from mert_fairseq.hf import export as export_module
from mert_fairseq.hf.export import export_hf
from mert_fairseq.hf.export_command import main
from mert_fairseq.hf.model_card import Statement

LAYERS = 3


def exported(tmp_path, layout="hubert", heads=True, statement=None, **options):
    """The model, and the folder that it was exported to."""
    model = save_pretraining(tmp_path / "mert.pt", **options)
    export_hf(tmp_path / "mert.pt", tmp_path / "out", layout, statement or Statement("tiny"), heads)
    return model, tmp_path / "out"


def states_of(model, wave):
    """L layers as they stand, then the output, by extract_features alone."""
    with torch.inference_mode():
        layers = [model.extract_features(wave, output_layer=layer)[0] for layer in range(1, LAYERS + 1)]
        return [*layers, model.extract_features(wave)[0]]


def assert_close(found, expected):
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("mode", ["default", "layer_norm"])
@pytest.mark.parametrize("pre_norm", [False, True])
def test_every_layer_equals_that_of_transformers(tmp_path, mode, pre_norm):
    model, folder = exported(tmp_path, layer_norm_first=pre_norm, extractor_mode=mode, attention_relax=32.0)
    wave = random_wave(samples=23_456)
    hubert = AutoModel.from_pretrained(folder).eval()
    assert type(hubert).__name__ == "HubertModel"
    with torch.inference_mode():
        outputs = hubert(wave, output_hidden_states=True)
    assert len(outputs.hidden_states) == LAYERS + 1
    *layers, output = states_of(model, wave)
    for found, expected in zip(outputs.hidden_states[1:], layers, strict=True):
        assert_close(found, expected)
    assert_close(outputs.last_hidden_state, output)
    last_is_normed = torch.allclose(layers[-1], output)
    assert last_is_normed is not pre_norm


@pytest.mark.parametrize(
    "options",
    [
        {"deepnorm": True},
        {"subln": True, "layer_norm_first": True},
        {"do_cnn_feat_stable_layernorm": True},
        {"encoder_layer_ffn_dims": [8, 16, 24], "encoder_layer_heads": [1, 2, 4]},
        {"pos_conv_depth": 3},
        {"conv_pos": 0},
        {"encoder_embed_dim": 8},
        {"wav_normalize": True},
        {"layer_norm_first": True, "activation_fn": "relu", "extractor_mode": "default"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_the_mert_layout_holds_more(tmp_path, monkeypatch, options):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    model, folder = exported(tmp_path, layout="mert", **options)
    wave = random_wave(samples=23_456)
    remote = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
    assert "mert_fairseq" not in type(remote).__module__  # the folder's own file
    with torch.inference_mode():
        outputs = remote(wave, output_hidden_states=True)
    *layers, output = states_of(model, wave)
    assert len(outputs.hidden_states) == LAYERS + 1
    for found, expected in zip(outputs.hidden_states[1:], layers, strict=True):
        assert_close(found, expected)
    assert_close(outputs.last_hidden_state, output)


@pytest.mark.parametrize(
    "options", [{"deepnorm": True}, {"subln": True, "layer_norm_first": True}, {"normalize": True, "half": True}]
)
def test_an_export_with_our_model_file_equals_its_checkpoint_and_its_code_is_not_run(options, tmp_path):
    save_pretraining(tmp_path / "mert.pt", **options)
    export_hf(tmp_path / "mert.pt", tmp_path / "out", "mert", Statement("tiny"), heads=False)
    for file in (tmp_path / "out").glob("*.py"):
        file.write_text("raise SystemExit('this code must not run')")
    encoder, expected = load_encoder(tmp_path / "out", "cpu"), load_encoder(tmp_path / "mert.pt", "cpu")
    torch.testing.assert_close(
        encoder.layers(random_wave(1, 8_123)), expected.layers(random_wave(1, 8_123)), atol=0, rtol=0
    )
    assert encoder.normalizes is expected.normalizes
    assert encoder.digest == hashlib.sha256((tmp_path / "out/model.safetensors").read_bytes()).hexdigest()


def test_an_export_with_our_model_file_needs_its_options_and_all_its_weights(tmp_path):
    save_pretraining(tmp_path / "mert.pt")
    out = tmp_path / "out"
    export_hf(tmp_path / "mert.pt", out, "mert", Statement("tiny"), heads=False)
    weights = load_file(out / "model.safetensors")
    del weights["encoder.layer_norm.bias"]
    save_file(weights, out / "model.safetensors")
    with pytest.raises(ValueError, match=r"out: its weights do not fit .*: 1 missing \(encoder.layer_norm.bias\)"):
        load_encoder(out, "cpu")
    (out / "fairseq.json").unlink()
    with pytest.raises(FileNotFoundError, match="out: found no fairseq.json, which holds the options of this model"):
        load_encoder(out, "cpu")


@pytest.mark.parametrize(
    "options",
    [
        {"front_end": "both", "feature_extractor_cqt_bins": 84},
        {"front_end": "spectral"},
        {"front_end": "spectral", "front_end_cqt_bins": 60, "audio_cqt_octaves": 5, "front_end_window": 0.05},
        {"front_end": "spectral", "wav_normalize": True, "front_end_mel_bins": 24, "audio_cqt_fmin": 55.0},
    ],
)
def test_the_mert_layout_holds_spectra_as_inputs(tmp_path, options):
    model = save_pretraining(tmp_path / "mert.pt", **options)
    export_hf(tmp_path / "mert.pt", tmp_path / "out", "mert", Statement("tiny"), heads=False)
    remote = export_module.load_hf(tmp_path / "out", "mert")
    for samples in (400, 50_000):
        wave = random_wave(samples=samples)
        with torch.inference_mode():
            found = remote(wave).last_hidden_state
        expected = states_of(model, wave)[-1]
        assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize(
    ("options", "named", "remedy"),
    [
        ({"deepnorm": True}, "deepnorm: true", "--layout mert"),
        ({"subln": True, "layer_norm_first": True}, "subln: true", "--layout mert"),
        ({"feature_extractor_cqt": True}, "feature_extractor_cqt: true", "--layout mert"),
        ({"front_end": "both"}, r"feature_extractor_cqt: true \(front_end: both\)", "--layout mert"),
        ({"do_cnn_feat_stable_layernorm": True}, "do_cnn_feat_stable_layernorm: true", "--layout mert"),
        ({"encoder_layer_ffn_dims": [8, 16, 24]}, "encoder_layer_ffn_dims", "--layout mert"),
        ({"encoder_layer_heads": [1, 2, 2]}, "encoder_layer_heads", "--layout mert"),
        ({"pos_conv_depth": 3}, "pos_conv_depth: 3", "--layout mert"),
        ({"conv_pos": 0}, "conv_pos: 0", "--layout mert"),
        ({"encoder_embed_dim": 8}, "as wide as encoder_embed_dim", "--layout mert"),
        ({"layer_type": "conformer"}, "conformer", "Neither layout can"),
        ({"conv_pos_batch_norm": True}, "conv_pos_batch_norm: true", "Neither layout can"),
        ({"front_end": "spectral"}, "front_end: spectral", "--layout mert"),
    ],
)
def test_options_that_hubert_cannot_hold_are_refused_by_name(tmp_path, options, named, remedy):
    with pytest.raises(ValueError, match=f"HubertModel cannot hold .*{named}.*{remedy}"):
        exported(tmp_path, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["mert.pt"]


def test_the_configuration_is_the_models(tmp_path):
    _, folder = exported(tmp_path, layer_norm_first=True, extractor_mode="layer_norm", dropout_input=0.3)
    config = json.loads((folder / "config.json").read_text())
    expected = {
        "model_type": "hubert", "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
        "intermediate_size": 24, "conv_dim": [8] * 7, "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "conv_stride": [5, 2, 2, 2, 2, 2, 2], "conv_bias": False, "feat_extract_norm": "layer",
        "feat_proj_layer_norm": True, "do_stable_layer_norm": True, "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-5, "apply_spec_augment": False,
        "sample_rate": 24_000, "hidden_dropout": 0.1, "feat_proj_dropout": 0.3, "layerdrop": 0.5,
    }  # fmt: skip
    assert {name: config[name] for name in expected} == expected


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("mode", ["default", "layer_norm"])
def test_the_feature_extractor_treats_waves_as_the_training_did(tmp_path, normalize, mode):
    _, folder = exported(tmp_path, normalize=normalize, extractor_mode=mode)
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    assert (extractor.sampling_rate, extractor.do_normalize) == (24_000, normalize)
    assert extractor.return_attention_mask is (mode == "layer_norm")


def test_the_feature_extraction_pipeline_works(tmp_path):
    model, folder = exported(tmp_path)
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    features = pipeline("feature-extraction", model=str(folder), tokenizer=extractor)
    wave = random_wave(clips=1)
    found = torch.tensor(features(wave[0].numpy()))
    assert_close(found, states_of(model, wave)[-1])


def test_padding_changes_nothing_without_group_norm_and_the_card_warns_of_it_with_one(tmp_path):
    wave, note = random_wave(clips=1), "Padding changes the features"
    padded = torch.cat([wave, torch.zeros(1, 8_000)], dim=1)
    mask = (torch.arange(padded.shape[1]) < wave.shape[1])[None].long()
    changes = {}
    for mode in ("default", "layer_norm"):
        (tmp_path / mode).mkdir()
        _, folder = exported(tmp_path / mode, extractor_mode=mode)
        hubert = AutoModel.from_pretrained(folder).eval()
        with torch.inference_mode():
            alone = hubert(wave).last_hidden_state
            batched = hubert(padded, attention_mask=mask).last_hidden_state[:, : alone.shape[1]]
        changes[mode] = ((alone - batched).abs().max() / alone.abs().max()).item()
        assert (note in (folder / "README.md").read_text()) is (mode == "default")
    assert changes["layer_norm"] < 1e-5
    assert changes["default"] > 1e-3


def test_the_card_says_what_the_training_was(tmp_path):
    (tmp_path / "train.tsv").write_text(f"{tmp_path}\na.wav\t86400000\nb.wav\t86400000\n")  # 2 hours at 24 kHz
    _, folder = exported(
        tmp_path, data=str(tmp_path), layer_norm_first=True, audio_cqt_bins=84,
        statement=Statement("My MERT", "cc-by-4.0", "Folk songs."),
    )  # fmt: skip
    card = (folder / "README.md").read_text()
    for part in (
        "license: cc-by-4.0", "library_name: transformers", "pipeline_tag: feature-extraction", "# My MERT",
        "labels rvq_0, rvq_1 of 16 codes; constant-Q transform, 84 bins", "| Data | Folk songs. |",
        "| Hours of music | 2.0 |", "| Updates | 1,200 |", "| `valid_loss` | 4.5 |", "75 frames per second",
        "at 24000 Hz", "This is a pre-norm model", "# (4, batch, frames, 16)",
    ):  # fmt: skip
        assert part in card, part
    assert "trust_remote_code" not in card


def test_paths_of_the_machine_stay_behind(tmp_path):
    _, folder = exported(tmp_path, data=str(tmp_path))
    assert str(tmp_path) not in "".join(path.read_text() for path in folder.glob("*.json"))


def test_weights_of_a_half_precision_training_become_float32(tmp_path):
    model, folder = exported(tmp_path, half=True)
    weights = read_safetensors(folder / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert torch.equal(weights["masked_spec_embed"], model.mask_emb.half().float())


def test_heads_have_a_file_of_their_own_or_are_left_out(tmp_path):
    model, folder = exported(tmp_path)
    heads = read_safetensors(folder / "heads.safetensors")
    assert heads.keys() == {
        "final_proj.weight", "final_proj.bias", "label_embs_concat", "encoder_cqt_model.fc.weight",
        "encoder_cqt_model.fc.bias",
    }  # fmt: skip
    assert torch.equal(heads["label_embs_concat"], model.label_embs_concat)
    export_hf(tmp_path / "mert.pt", tmp_path / "bare", "hubert", Statement("tiny"), heads=False)
    assert not (tmp_path / "bare" / "heads.safetensors").exists()


@pytest.mark.parametrize(("layer", "name"), [(0, "layer 1"), (2, "layer 3")])
def test_an_export_that_differs_is_not_kept(tmp_path, monkeypatch, layer, name):
    def tampered(folder, layout):
        model = load(folder, layout)
        with torch.no_grad():
            model.encoder.layers[layer].feed_forward.output_dense.bias[0] += 0.01
        return model

    load = export_module.load_hf
    monkeypatch.setattr(export_module, "load_hf", tampered)
    with pytest.raises(ValueError, match=f"{name} differs from the checkpoint by .* of its scale"):
        exported(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mert.pt"]


def test_extraction_takes_the_hubert_layout(tmp_path):
    model, folder = exported(tmp_path, layer_norm_first=True)
    wave = random_wave()
    assert_close(load_encoder(folder, "cpu").layers(wave, [LAYERS])[:, 0], states_of(model, wave)[-1])


def test_wrong_input_is_said_in_one_line(tmp_path, capsys):
    save_pretraining(tmp_path / "mert.pt")
    whole = (tmp_path / "mert.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    torch.save({"cfg": {"model": {"_name": "mert_genre"}}, "model": {}}, tmp_path / "genre.pt")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("keep me")
    for checkpoint, out, message in (
        ("none.pt", "out", "no such checkpoint"),
        ("cut.pt", "out", "damaged"),
        ("genre.pt", "out", "is a checkpoint of the model 'mert_genre', expected 'mert'"),
        ("mert.pt", "full", "exists already. Give the name of a new folder."),
    ):
        assert main([str(tmp_path / checkpoint), str(tmp_path / out)]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.startswith("mert-export-hf: ")
        assert error.count("\n") == 1
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["notes.txt"]
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_it_wrote(tmp_path, capsys):
    save_pretraining(tmp_path / "mert.pt")
    assert main([str(tmp_path / "mert.pt"), str(tmp_path / "out"), "--name", "Mine", "--hours", "3.5"]) == 0
    assert "all layers compared, largest difference" in capsys.readouterr().out
    assert "| Hours of music | 3.5 |" in (tmp_path / "out" / "README.md").read_text()
