"""Encoders of both kinds, against transformers' HubertModel and fairseq's way to load a checkpoint."""

import hashlib
import json
import sys

import pytest
import torch
from hubert_twin import noise, save_twins
from tiny_checkpoint import write_checkpoint
from tiny_mert import save_tiny_mert

from mert_fairseq.extraction import load_encoder

transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("pre_norm", "group_norm"), [(False, True), (True, False)])
def test_all_states_equal_those_of_transformers_hubert(pre_norm, group_norm, normalize, tmp_path):
    save_twins(tmp_path, pre_norm, group_norm, normalize)
    reference = transformers.HubertModel.from_pretrained(tmp_path / "hubert").eval()
    waves = noise(24_123, clips=2)
    extractor = transformers.Wav2Vec2FeatureExtractor.from_pretrained(tmp_path / "hubert")
    inputs = extractor(list(waves.numpy()), sampling_rate=24_000, return_tensors="pt").input_values
    with torch.no_grad():
        outputs = reference(inputs, output_hidden_states=True)
    expected = torch.stack([*outputs.hidden_states[:-1], outputs.last_hidden_state], dim=1)
    for path in (tmp_path / "mert.pt", tmp_path / "hubert"):
        encoder = load_encoder(path, "cpu")
        states = encoder.layers(waves)
        assert states.shape == (2, 4, 75, 16) == (2, encoder.num_layers, encoder.num_frames(24_123), encoder.width)
        torch.testing.assert_close(states, expected, atol=2e-3 if normalize else 1e-5, rtol=1e-4)


def test_chosen_layers_are_those_of_all(tmp_path):
    save_twins(tmp_path, pre_norm=True)
    for path in (tmp_path / "mert.pt", tmp_path / "hubert"):
        encoder = load_encoder(path, "cpu")
        every = encoder.layers(noise(8_000))
        for chosen in ([0], [1], [2, 0], [3], [1, 1]):
            torch.testing.assert_close(encoder.layers(noise(8_000), chosen), every[:, chosen])


@pytest.mark.parametrize("path", ["mert.pt", "hubert"])
def test_layers_that_are_not_needed_do_not_run(path, tmp_path):
    save_twins(tmp_path)
    encoder = load_encoder(tmp_path / path, "cpu")
    ran = []
    for number, layer in enumerate(encoder.model.encoder.layers, 1):
        layer.register_forward_pre_hook(lambda module, args, number=number: ran.append(number))
    encoder.layers(noise(800), [1])
    assert 1 in ran
    assert 3 not in ran
    ran.clear()
    encoder.layers(noise(800))
    assert ran == [1, 2, 3]


def test_an_encoder_states_its_clock_and_weights(tmp_path):
    save_twins(tmp_path)
    for path, weights in (("mert.pt", "mert.pt"), ("hubert", "hubert/model.safetensors")):
        encoder = load_encoder(tmp_path / path, "cpu")
        assert (encoder.sample_rate, encoder.hop_samples, encoder.receptive_samples) == (24_000, 320, 400)
        assert encoder.frame_rate_hz == 75.0
        assert [encoder.num_frames(samples) for samples in (0, 399, 400, 719, 720)] == [0, 0, 1, 1, 2]
        assert encoder.digest == hashlib.sha256((tmp_path / weights).read_bytes()).hexdigest()


def test_a_probe_can_learn_from_the_states(tmp_path):
    write_checkpoint(tmp_path / "mert.pt")
    head = torch.nn.Linear(16, 2)
    head(load_encoder(tmp_path / "mert.pt", "cpu").layers(noise(800))).sum().backward()
    assert head.weight.grad is not None


def test_a_wav2vec2_folder_is_an_encoder(tmp_path):
    config = transformers.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, conv_dim=[8] * 7,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, sample_rate=16_000,
    )  # fmt: skip
    model = transformers.Wav2Vec2Model(config).eval()
    model.save_pretrained(tmp_path)
    encoder = load_encoder(tmp_path, "cpu")
    assert (encoder.sample_rate, encoder.frame_rate_hz, encoder.num_layers) == (16_000, 50.0, 3)
    with torch.no_grad():
        expected = model(noise(4_000)).last_hidden_state
    torch.testing.assert_close(encoder.layers(noise(4_000), [2])[:, 0], expected)


def test_a_folder_in_half_precision_runs_in_float32(tmp_path):
    save_twins(tmp_path, group_norm=True)
    expected = load_encoder(tmp_path / "hubert", "cpu").layers(noise(4_000))
    transformers.HubertModel.from_pretrained(tmp_path / "hubert").half().save_pretrained(tmp_path / "hubert")
    states = load_encoder(tmp_path / "hubert", "cpu").layers(noise(4_000))
    assert states.dtype == torch.float32
    torch.testing.assert_close(states, expected, atol=5e-3, rtol=5e-3)


@pytest.mark.parametrize("weight_norm", ["weight_g", "original0"])
def test_merts_own_layout_loads_without_its_code(weight_norm, tmp_path):
    save_twins(tmp_path)
    expected = load_encoder(tmp_path / "hubert", "cpu").layers(noise(4_000))
    folder = tmp_path / "hubert"
    config = json.loads((folder / "config.json").read_text())
    published = {"model_type": "mert_model", "architectures": ["MERTModel"], "sample_rate": 24_000, "deepnorm": False}
    remote_code = {"auto_map": {"AutoModel": "modeling_MERT.MERTModel"}}
    (folder / "config.json").write_text(json.dumps(config | published | remote_code))
    (folder / "preprocessor_config.json").unlink()
    state = transformers.HubertModel.from_pretrained(tmp_path / "hubert", config=transformers.HubertConfig(**config))
    weights = state.state_dict()
    if weight_norm == "weight_g":
        weights = {
            name.replace("parametrizations.weight.original0", "weight_g").replace(
                "parametrizations.weight.original1", "weight_v"
            ): weight
            for name, weight in weights.items()
        }
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    torch.testing.assert_close(load_encoder(folder, "cpu").layers(noise(4_000)), expected)


def test_layers_and_waves_that_are_not_there_are_errors(tmp_path):
    save_twins(tmp_path)
    for path in (tmp_path / "mert.pt", tmp_path / "hubert"):
        encoder = load_encoder(path, "cpu")
        with pytest.raises(ValueError, match="found layer 4, expected 0 to 3: 0 is the input of the first"):
            encoder.layers(noise(800), [1, 4])
        with pytest.raises(ValueError, match="found no layers, expected some of 0 to 3"):
            encoder.layers(noise(800), [])
        with pytest.raises(ValueError, match=r"found waves of shape \(1, 399\), expected .* at least 400 samples"):
            encoder.layers(noise(399))


def test_files_that_are_not_mert_checkpoints_are_refused(tmp_path):
    write_checkpoint(tmp_path / "whole.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:-1000])
    with pytest.raises(ValueError, match="cut.pt: damaged, not a fairseq checkpoint"):
        load_encoder(tmp_path / "cut.pt")
    state = torch.load(tmp_path / "whole.pt")
    state["cfg"]["model"]["_name"] = "mert_genre"
    torch.save(state, tmp_path / "genre.pt")
    with pytest.raises(ValueError, match="is a checkpoint of the model 'mert_genre', expected 'mert'"):
        load_encoder(tmp_path / "genre.pt")
    with pytest.raises(FileNotFoundError, match="none.pt: no such checkpoint or folder. Give the .pt file"):
        load_encoder(tmp_path / "none.pt")
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}: found no config.json in it"):
        load_encoder(tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model_type": "bert"}, "found a model of type 'bert', expected one of hubert, mert_model, wav2vec2"),
        ({"feature_extractor_cqt": True}, "config.json sets feature_extractor_cqt, which transformers' HubertModel"),
        ({"hidden_size": 32}, "its weights cannot be loaded"),
        ({"num_hidden_layers": 4}, r"lacks the weights encoder.layers.3.attention.\S+, .* and others. Expected all"),
        (None, "config.json: is not valid JSON"),
    ],
)
def test_a_folder_of_another_model_is_refused(changed, message, tmp_path):
    save_twins(tmp_path)
    path = tmp_path / "hubert" / "config.json"
    path.write_text("{" if changed is None else json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(ValueError, match=message):
        load_encoder(tmp_path / "hubert")


def test_a_folder_without_a_sample_rate_or_weights_is_refused(tmp_path):
    save_twins(tmp_path)
    (tmp_path / "hubert" / "preprocessor_config.json").unlink()
    with pytest.raises(ValueError, match="states no sample rate. Expected sampling_rate in preprocessor_config.json"):
        load_encoder(tmp_path / "hubert")
    (tmp_path / "hubert" / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="found no weights in it"):
        load_encoder(tmp_path / "hubert")


def test_without_transformers_a_checkpoint_loads_and_a_folder_says_what_to_install(tmp_path, monkeypatch):
    save_twins(tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert load_encoder(tmp_path / "mert.pt", "cpu").num_layers == 4
    with pytest.raises(ImportError, match=r"needs transformers. Install it: pip install 'mert_fairseq\[hf\]'"):
        load_encoder(tmp_path / "hubert")


def test_a_name_that_cannot_be_downloaded_is_reported(monkeypatch):
    def offline(name, **options):
        raise OSError("no route to the Hub")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(FileNotFoundError, match="somebody/music: no such folder, and no model .* .no route"):
        load_encoder("somebody/music")


def test_checkpoints_that_were_saved_by_a_training_load(tmp_path):
    model = save_tiny_mert(tmp_path / "mert.pt").eval()
    encoder = load_encoder(tmp_path / "mert.pt", "cpu")
    with torch.no_grad():
        expected, _ = model.extract_features(noise(4_000), output_layer=2)
    torch.testing.assert_close(encoder.layers(noise(4_000), [2])[:, 0], expected)


@pytest.mark.parametrize("front_end", ["spectral", "both"])
def test_a_checkpoint_with_another_front_end_gives_the_models_own_states(front_end, tmp_path):
    model = save_tiny_mert(tmp_path / "mert.pt", front_end=front_end).eval()
    wave = noise(8_000)
    found = load_encoder(tmp_path / "mert.pt", "cpu").layers(wave, [3])[:, 0]
    with torch.inference_mode():
        torch.testing.assert_close(found, model.extract_features(wave)[0])
