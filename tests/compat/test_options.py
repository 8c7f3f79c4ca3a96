"""Every published option keeps its default and meaning, or changing it is an error that names it."""

from types import SimpleNamespace

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.mert_config import MERTConfig
from mert_fairseq.tasks.pretraining_config import MERTPretrainingConfig

SMALL = {
    "label_rate": 75.0,
    "encoder_layers": 2,
    "encoder_embed_dim": 16,
    "encoder_ffn_embed_dim": 24,
    "encoder_attention_heads": 4,
    "conv_feature_layers": "[(8,10,5)] + [(8,3,2)] * 4 + [(8,2,2)] * 2",
    "conv_pos": 8,
    "conv_pos_groups": 4,
    "final_dim": 8,
    "mask_length": 3,
    "skip_nomask": True,
}


def _model(**fields) -> MERTModel:
    torch.manual_seed(0)
    config = OmegaConf.merge(OmegaConf.structured(MERTConfig), {**SMALL, **fields})
    return MERTModel(config, 24_000, [20, 20, 20])


def _output(model: MERTModel, training: bool = True, clips: int = 2, **inputs):
    torch.manual_seed(1)
    source = torch.randn(clips, 12_000) * 0.1
    targets = torch.randint(4, 20, (3, clips, 38))
    seeds = torch.arange(clips)
    return model.train(training)(source, target_list=targets, clip_seeds=seeds, **inputs)


@pytest.mark.shared
@pytest.mark.parametrize(("section", "config"), [
    ("model mert", MERTConfig), ("task mert_pretraining", MERTPretrainingConfig),
])  # fmt: skip
def test_every_published_option_exists_with_its_default(section, config, shared_dir):
    published = yaml.safe_load((shared_dir / "reference/published_options.yaml").read_text())[section]
    ours = OmegaConf.to_container(OmegaConf.structured(config), resolve=False, enum_to_str=True)
    for name, default in published.items():
        found = ours[name]
        assert (list(found) if isinstance(found, tuple) else found) == default, name


@pytest.mark.parametrize(("field", "value"), [
    ("audio_extract_type", "melspec"), ("music_conv_nmel", 128), ("music_conv_hoplen", 10), ("emb_grad_mult", 0.1),
    ("latent_temp", (1.0, 0.5, 0.9)), ("pos_enc_type", "rope"),
])  # fmt: skip
def test_changing_an_option_without_effect_is_an_error_that_names_it(field, value):
    with pytest.raises(ValueError, match=f"^{field} is .*; only .* is supported"):
        _model(**{field: value})


@pytest.mark.parametrize(("fields", "message"), [
    ({"deepnorm": True, "layer_norm_first": True}, "deepnorm needs post-norm"),
    ({"subln": True}, "subln needs pre-norm"),
    ({"encoder_attention_heads": 5}, "encoder_attention_heads 5 does not divide the width 16"),
    ({"conv_feature_layers": "[(512,10,5)] + __import__('os')"}, "conv_feature_layers: cannot read"),
    ({"conv_feature_layers": "[(512,10)]"}, "conv_feature_layers: '\\(512, 10\\)' is not a layer"),
    ({"mask_dynamic_prob": "[0.5, 0.8]"}, "mask_dynamic_prob \\[0.5, 0.8\\] with mask_dynamic_prob_step"),
    ({"inbatch_noise_augment_len_range": "len('a')"}, "inbatch_noise_augment_len_range is \"len"),
    ({"mask_dynamic_prob": "[0.5, 1.5]", "mask_dynamic_prob_step": "[1000]"}, "mask_prob 1.5 must lie in"),
    ({"mask_dynamic_len": "[5, 0]", "mask_dynamic_len_step": "[1000]"}, "mask_length 0 be at least 1"),
    ({"logit_temp": 0.0}, "^logit_temp is 0, expected a number above 0, such as 0.1"),
    ({"learnable_temp_init": -1.0}, "^learnable_temp_init is -1, expected a number above 0, such as 0.1"),
    ({"attn_type": "espnet"}, "attn_type is 'espnet', but the encoder has no conformer layer"),
    ({"layer_type": "conformer", "deepnorm": True}, "deepnorm or subln has no effect on conformer layers"),
    ({"layer_type": "conformer", "activation_dropout": 0.1}, "activation_dropout has no effect .*found 0.1"),
    ({"encoder_layer_types": ["transformer", "conformer"], "activation_fn": "relu"}, "activation_fn has no effect"),
    ({"pretrained_weights": "/nowhere.pt"}, "/nowhere.pt: no such checkpoint"),
])  # fmt: skip
def test_invalid_options_are_errors(fields, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        _model(**fields)


def test_chunk_nce_cal_is_accepted_and_logged_as_ignored(caplog):
    with caplog.at_level("INFO"):
        _model(chunk_nce_cal=100)
    assert "chunk_nce_cal is ignored" in caplog.text


def test_random_codebooks_are_sampled_with_replacement_and_have_their_own_projections():
    model = _model(random_codebook=4, untie_final_proj=True)
    assert {f"final_projs.{q}.weight" for q in range(3)} <= set(model.state_dict())
    sampled = [p.codebook for p in _output(model)["masked"]]
    assert len(sampled) == 4
    assert set(sampled) <= {0, 1, 2}
    assert [p.codebook for p in _output(model, training=False)["masked"]] == [0, 1, 2]


def test_learned_temperature_starts_at_its_initial_value_and_stops_at_its_maximum():
    model = _model(learnable_temp=True, learnable_temp_init=0.1, learnable_temp_max=30.0)
    fixed = _model(logit_temp=0.1)
    fixed.load_state_dict({k: v for k, v in model.state_dict().items() if "logit_temp" not in k})
    for mine, reference in zip(_output(model, False)["masked"], _output(fixed, False)["masked"], strict=True):
        torch.testing.assert_close(mine.logits, reference.logits)
    assert model.logit_temp_list.shape == (3,)  # one parameter, as in published checkpoints
    model.logit_temp_list.data[1] = 10.0
    hot = _output(model, False)["masked"][1].logits
    torch.testing.assert_close(hot, _output(fixed, False)["masked"][1].logits * 3.0, rtol=1e-4, atol=1e-4)


def test_temperatures_that_were_saved_separately_load_as_one_parameter():
    model = _model(learnable_temp=True)
    state = {key: value for key, value in model.state_dict().items() if key != "logit_temp_list"}
    one_by_one = {f"logit_temp_list.{q}": torch.tensor(float(q)) for q in range(3)}
    model.load_state_dict({**state, **one_by_one})
    assert model.logit_temp_list.tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(RuntimeError, match=r"logit_temp_list\.0"):
        model.load_state_dict({**state, "logit_temp_list.0": torch.tensor(0.0)})


def test_mask_schedules_follow_the_update_number():
    model = _model(
        mask_dynamic_prob="[0.1, 0.8]",
        mask_dynamic_prob_step="[100]",
        mask_dynamic_len="[2, 4]",
        mask_dynamic_len_step="[50]",
    )
    shares = []
    for update in (0, 99, 100):
        model.set_num_updates(update)
        shares.append(_output(model)["mask_indices"].float().mean().item())
    assert shares[0] < 0.3
    assert shares[1] < 0.3
    assert shares[2] > 0.4
    assert model.time_mask(49).length == 2
    assert model.time_mask(50).length == 4


def test_masked_channels_are_zero_in_every_frame():
    model = _model(mask_channel_prob=0.5, mask_channel_length=2)
    seen = []
    model.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    _output(model, training=False)
    masked = (seen[0] == 0).all(1)
    assert 0.1 < masked.float().mean() < 0.7
    assert masked[0].tolist() != masked[1].tolist()


def test_mixture_does_not_change_targets_or_validation():
    torch.manual_seed(1)
    source = torch.randn(2, 12_000) * 0.1
    model = _model(mixture_prob=1.0, audio_cqt_loss_m=True, inbatch_noise_augment_len_range="[2000, 4000]", dropout=0.0)
    waves, targets = [], []
    model.feature_extractor.register_forward_pre_hook(lambda module, inputs: waves.append(inputs[0]))
    teacher = model.encoder_cqt_model.teacher
    model.encoder_cqt_model.teacher = lambda wave: targets.append(wave) or teacher(wave)
    for training in (True, False):
        _output(model, training)
    assert not torch.equal(waves[0], source)
    torch.testing.assert_close(waves[1], source)
    assert all(torch.equal(target, source) for target in targets)


def test_wav_normalize_and_stable_layernorm_normalise_their_inputs():
    model = _model(wav_normalize=True, do_cnn_feat_stable_layernorm=True)
    waves = []
    model.feature_extractor.register_forward_pre_hook(lambda module, inputs: waves.append(inputs[0]))
    _output(model)
    torch.testing.assert_close(waves[0].mean(1), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(waves[0].var(1, unbiased=False), torch.ones(2), atol=1e-2, rtol=0)
    assert not list(model.layer_norm.parameters())
    assert model.post_extract_norm.weight.shape == (16,)


def test_the_cqt_is_appended_to_the_conv_features():
    model = _model(feature_extractor_cqt=True, feature_extractor_cqt_bins=84)
    assert model.post_extract_proj.in_features == 8 + 84
    assert _output(model)["features_pen"] > 0


def test_conv_gradients_are_scaled_or_stopped():
    norms = {}
    for scale in (1.0, 0.1, 0.0):
        model = _model(feature_grad_mult=scale, dropout=0.0, attention_dropout=0.0)
        prediction = _output(model)["masked"][0]
        prediction.logits.square().sum().backward()
        gradient = model.feature_extractor.conv_layers[0][0].weight.grad
        norms[scale] = 0.0 if gradient is None else gradient.norm().item()
    assert norms[0.0] == 0.0
    assert norms[0.1] == pytest.approx(0.1 * norms[1.0], rel=1e-3)


def test_relaxation_does_not_change_logits():
    plain, relaxed = (
        _model(dropout=0.0, attention_dropout=0.0),
        _model(dropout=0.0, attention_dropout=0.0, attention_relax=32.0),
    )
    assert [layer.self_attn.attention_relax for layer in relaxed.encoder.layers] == [32.0, 32.0]
    for mine, reference in zip(_output(relaxed)["masked"], _output(plain)["masked"], strict=True):
        torch.testing.assert_close(mine.logits, reference.logits)


def test_layer_overrides_reach_the_encoder():
    model = _model(
        encoder_layer_heads=[2, 8], encoder_layer_relax=[-1.0, 16.0], encoder_layer_types=["conformer", "transformer"]
    )
    assert [layer.self_attn.num_heads for layer in model.encoder.layers] == [2, 8]
    assert [layer.self_attn.attention_relax for layer in model.encoder.layers] == [-1.0, 16.0]


def test_int16_and_float_waves_give_the_same_output():
    model = _model().eval()
    pcm = torch.randint(-30_000, 30_000, (2, 12_000), dtype=torch.int16)
    torch.testing.assert_close(model.extract_features(pcm)[0], model.extract_features(pcm.float() / 32768)[0])


def test_targets_as_a_list_and_as_one_tensor_are_the_same():
    model = _model(dropout=0.0)
    targets = torch.randint(4, 20, (3, 2, 38))
    source, seeds = torch.randn(2, 12_000), torch.arange(2)
    one, many = (model.eval()(source, target_list=t, clip_seeds=seeds)["masked"] for t in (targets, list(targets)))
    for a, b in zip(one, many, strict=True):
        assert torch.equal(a.logits, b.logits)
        assert torch.equal(a.targets, b.targets)


@pytest.mark.parametrize("untied", [True, False])
def test_target_first_swaps_two_columns_and_keeps_cross_entropy(untied):
    model = _model(untie_final_proj=untied)
    output = _output(model, False)
    for prediction, logits, zeros in zip(
        output["masked"], model.get_logits(output), model.get_targets(output), strict=True
    ):
        torch.testing.assert_close(
            torch.nn.functional.cross_entropy(logits, zeros),
            torch.nn.functional.cross_entropy(prediction.logits, prediction.targets),
        )
        right = (prediction.logits.argmax(1) == prediction.targets).sum()
        assert (logits.argmax(1) == 0).sum() == right


def test_pretrained_weights_initialise_the_conv_stack(tmp_path):
    donor = _model()
    torch.save({"model": donor.state_dict()}, tmp_path / "donor.pt")
    model = _model(pretrained_weights=str(tmp_path / "donor.pt"), dropout=0.0)
    for name, weight in donor.feature_extractor.state_dict().items():
        assert torch.equal(model.feature_extractor.state_dict()[name], weight)
    other = {"conv_feature_layers": "[(4,10,5)] + [(4,3,2)] * 4 + [(4,2,2)] * 2"}
    with pytest.raises(ValueError, match="its conv stack does not fit this model's"):
        _model(pretrained_weights=str(tmp_path / "donor.pt"), **other)


def test_layers_that_do_not_exist_are_errors():
    model, source = _model().eval(), torch.randn(1, 8_000)
    for layer in (0, -1, 3):
        with pytest.raises(ValueError, match=f"output_layer is {layer}, expected 1 to 2, or None"):
            model.extract_features(source, output_layer=layer)
    last, _ = model.extract_features(source, output_layer=2)
    torch.testing.assert_close(last, model.extract_features(source)[0])


def test_extracting_features_does_not_change_torchs_generator():
    model, source = _model().eval(), torch.randn(1, 8_000)
    before = torch.get_rng_state()
    model.extract_features(source)
    assert torch.equal(torch.get_rng_state(), before)


def test_remove_pretraining_modules_keeps_features():
    model = _model(audio_cqt_loss_m=True)
    source = torch.randn(1, 8_000)
    before = model.eval().extract_features(source)[0]
    model.remove_pretraining_modules()
    torch.testing.assert_close(model.extract_features(source)[0], before)
    assert not any(name.startswith(("final_proj", "label_embs", "encoder_cqt")) for name, _ in model.named_parameters())


def test_build_model_takes_rates_from_the_task_and_classes_from_its_dictionaries():
    task = SimpleNamespace(cfg=SimpleNamespace(sample_rate=24_000, label_rate=75.0), dictionaries=[[0] * 7, [0] * 9])
    config = OmegaConf.merge(OmegaConf.structured(MERTConfig), SMALL)
    model = MERTModel.build_model(config, task)
    assert model.num_classes == [7, 9]
    assert model.label_embs_concat.shape == (16, 8)
    task.cfg.label_rate = 50.0
    with pytest.raises(ValueError, match=r"model\.label_rate is 75 Hz, but task\.label_rate is 50 Hz"):
        MERTModel.build_model(config, task)
