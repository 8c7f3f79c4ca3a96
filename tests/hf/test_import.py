"""Imports: exports come back bit by bit, published folders become checkpoints, other folders are refused."""

import json

import pytest
import torch
from fairseq.checkpoint_utils import load_model_ensemble_and_task
from hf.tiny_pretraining import random_wave, save_pretraining, save_published
from safetensors.torch import load_file, save_file

from mert_fairseq.checkpointing.safe_loading import read_checkpoint
from mert_fairseq.extraction import load_encoder
from mert_fairseq.hf.export import export_hf
from mert_fairseq.hf.folder_content import NewHeads
from mert_fairseq.hf.import_command import main
from mert_fairseq.hf.import_folder import import_hf
from mert_fairseq.hf.model_card import Statement
from mert_fairseq.models.pretrained import build_encoder, read_pretrained
from mert_fairseq.models.pretrained import load_encoder as load_weights


@pytest.mark.parametrize(
    ("layout", "options"),
    [
        ("hubert", {}),
        ("hubert", {"layer_norm_first": True, "extractor_mode": "default", "half": True, "normalize": True}),
        ("hubert", {"random_codebook": 1, "untie_final_proj": True, "learnable_temp": True, "target_glu": True}),
        ("mert", {"subln": True, "layer_norm_first": True}),
        ("mert", {"pos_conv_depth": 3, "deepnorm": True, "half": True}),
    ],
)
def test_there_and_back_is_equal_to_the_bit(tmp_path, layout, options):
    save_pretraining(tmp_path / "a.pt", **options)
    export_hf(tmp_path / "a.pt", tmp_path / "folder", layout, Statement("tiny"), heads=True)
    done = import_hf(tmp_path / "folder", tmp_path / "b.pt", NewHeads())
    assert done.new_heads == ()
    before, after = read_checkpoint(tmp_path / "a.pt"), read_checkpoint(tmp_path / "b.pt")
    assert before["model"].keys() == after["model"].keys()
    for name, weight in before["model"].items():
        assert torch.equal(weight, after["model"][name]), name
        assert weight.dtype == after["model"][name].dtype
    assert after["task_state"]["label_symbols"] == before["task_state"]["label_symbols"]
    chosen = before["cfg"]["model"]
    assert {name: after["cfg"]["model"][name] for name in chosen} == chosen
    assert after["optimizer_history"][-1]["num_updates"] == 1200


def test_a_second_export_is_the_first_one(tmp_path):
    save_pretraining(tmp_path / "a.pt")
    export_hf(tmp_path / "a.pt", tmp_path / "one", "hubert", Statement("tiny"), heads=True)
    import_hf(tmp_path / "one", tmp_path / "b.pt", NewHeads())
    export_hf(tmp_path / "b.pt", tmp_path / "two", "hubert", Statement("tiny"), heads=True)
    for name in ("config.json", "preprocessor_config.json", "model.safetensors", "heads.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_fairseq_loads_the_checkpoint_and_it_still_predicts(tmp_path):
    save_pretraining(tmp_path / "a.pt")
    export_hf(tmp_path / "a.pt", tmp_path / "folder", "hubert", Statement("tiny"), heads=True)
    import_hf(tmp_path / "folder", tmp_path / "b.pt", NewHeads())
    models, cfg, task = load_model_ensemble_and_task([str(tmp_path / "b.pt")])
    assert cfg.task.labels == ["rvq_0", "rvq_1"]
    assert [len(dictionary) for dictionary in task.dictionaries] == [20, 20]
    targets = torch.randint(4, 20, (2, 2, 75))
    result = models[0].eval()(random_wave(), target_list=targets)
    assert [prediction.logits.shape[1] for prediction in result["masked"]] == [20, 20]
    assert torch.isfinite(result["cqt_pred_m"])


@pytest.mark.parametrize("pickled", [True, False])
@pytest.mark.parametrize("pre_norm", [False, True])
def test_the_published_layout_gives_the_features_of_transformers(tmp_path, pickled, pre_norm):
    hubert = save_published(tmp_path / "folder", pickled, do_stable_layer_norm=pre_norm)
    done = import_hf(tmp_path / "folder", tmp_path / "mert.pt", NewHeads())
    assert done.new_heads == (*(f"encodec_{index}" for index in range(8)), "CQT")
    wave = random_wave()
    encoder = load_encoder(tmp_path / "mert.pt", "cpu")
    with torch.inference_mode():
        outputs = hubert(wave, output_hidden_states=True)
    expected = torch.stack([*outputs.hidden_states[:-1], outputs.last_hidden_state], dim=1)
    assert (encoder.layers(wave) - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_published_folder_becomes_a_checkpoint_of_the_recipes_heads(tmp_path):
    save_published(tmp_path / "folder")
    import_hf(tmp_path / "folder", tmp_path / "mert.pt", NewHeads())
    models, cfg, _ = load_model_ensemble_and_task([str(tmp_path / "mert.pt")])
    # 8 codebooks of 1024 codes and fairseq's 4 special symbols, as in the published pretraining checkpoints
    assert models[0].label_embs_concat.shape == (8 * 1028, 64)
    assert models[0].final_proj.weight.shape == (8 * 64, 32)
    assert models[0].encoder_cqt_model.fc.weight.shape == (336, 32)
    assert (cfg.model.mask_prob, cfg.model.mask_length, cfg.task.label_rate) == (0.8, 5, 75.0)
    pretrained, weights = read_pretrained(tmp_path / "mert.pt")  # as the genre model begins
    load_weights(build_encoder(pretrained), weights, "mert.pt")


def test_new_heads_are_said_aloud_and_can_be_chosen(tmp_path, capsys):
    save_published(tmp_path / "folder")
    arguments = [str(tmp_path / "folder"), str(tmp_path / "mert.pt"), "--labels", "rvq_0", "rvq_1", "--codes", "16"]
    assert main(arguments) == 0
    assert "NEW ONES with random weights predict rvq_0, rvq_1, CQT; 16 codes per label" in capsys.readouterr().out
    assert read_checkpoint(tmp_path / "mert.pt")["model"]["label_embs_concat"].shape == (2 * 20, 64)


def test_an_export_without_heads_gets_new_ones(tmp_path):
    save_pretraining(tmp_path / "a.pt")
    export_hf(tmp_path / "a.pt", tmp_path / "folder", "hubert", Statement("tiny"), heads=False)
    done = import_hf(tmp_path / "folder", tmp_path / "b.pt", NewHeads(labels=("chroma",), codes=12))
    assert done.new_heads == ("chroma", "CQT")
    models, cfg, _ = load_model_ensemble_and_task([str(tmp_path / "b.pt")])
    assert cfg.task.labels == ["chroma"]
    assert models[0].num_classes == [16]


def test_new_heads_follow_their_seed(tmp_path):
    save_published(tmp_path / "folder")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        import_hf(tmp_path / "folder", tmp_path / f"{name}.pt", NewHeads(seed=seed))
    embeddings = [read_checkpoint(tmp_path / f"{name}.pt")["model"]["label_embs_concat"] for name in "abc"]
    assert torch.equal(embeddings[0], embeddings[1])
    assert not torch.equal(embeddings[0], embeddings[2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bert"}, "found a model of type 'bert', expected one of hubert, mert_model, mert_encoder"),
        ({"deepnorm": True}, "deepnorm is True, only False can be imported"),
        ({"feature_extractor_cqt": True}, "feature_extractor_cqt is True, only False can be imported"),
        ({"hidden_act": "silu"}, "hidden_act is 'silu', expected one of gelu"),
        ({"num_hidden_layers": 1}, "without a place .encoder.layers.1"),
        ({"num_hidden_layers": 3}, "missing .encoder.layers.2"),
        ({"intermediate_size": 40}, "the weights do not fit this configuration"),
    ],
)
def test_folders_of_other_models_are_refused(tmp_path, changes, message):
    save_published(tmp_path / "folder", config_changes=changes)
    with pytest.raises(ValueError, match=message):
        import_hf(tmp_path / "folder", tmp_path / "mert.pt", NewHeads())
    assert not (tmp_path / "mert.pt").exists()


def test_damaged_and_contradictory_folders_are_refused(tmp_path, capsys):
    save_pretraining(tmp_path / "a.pt")

    def refused(damage, message):
        folder = tmp_path / f"folder{len(list(tmp_path.iterdir()))}"
        export_hf(tmp_path / "a.pt", folder, "hubert", Statement("tiny"), heads=True)
        damage(folder)
        assert main([str(folder), str(tmp_path / "b.pt")]) == 1
        assert message in capsys.readouterr().err
        assert not (tmp_path / "b.pt").exists()

    def cut(name):
        def damage(folder):
            content = (folder / name).read_bytes()
            (folder / name).write_bytes(content[: len(content) // 2])

        return damage

    def change_width(folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 25}))

    def add_weight(folder):
        weights = load_file(folder / "model.safetensors")
        save_file(weights | {"lm_head.weight": torch.zeros(2)}, folder / "model.safetensors")

    refused(cut("model.safetensors"), "damaged, or no safetensors file")
    refused(cut("heads.safetensors"), "damaged, or no safetensors file")
    refused(cut("config.json"), "is not valid JSON")
    refused(lambda folder: (folder / "config.json").unlink(), "config.json: no such file")
    refused(lambda folder: (folder / "heads.safetensors").unlink(), "heads.safetensors: no such file")
    refused(lambda folder: (folder / "model.safetensors").unlink(), "found no model.safetensors")
    refused(change_width, "config.json and fairseq.json disagree on intermediate_size")
    refused(add_weight, "1 without a place (lm_head.weight)")


def test_a_pickle_with_code_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (print, ("trapped",))

    save_published(tmp_path / "folder")
    torch.save({"weight": Trap()}, tmp_path / "folder" / "pytorch_model.bin")
    with pytest.raises(ValueError, match="objects whose code would have to be trusted"):
        import_hf(tmp_path / "folder", tmp_path / "mert.pt", NewHeads())


def test_an_existing_checkpoint_is_kept(tmp_path):
    save_published(tmp_path / "folder")
    (tmp_path / "mert.pt").write_text("mine")
    with pytest.raises(FileExistsError, match="exists already"):
        import_hf(tmp_path / "folder", tmp_path / "mert.pt", NewHeads())
    assert (tmp_path / "mert.pt").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize("wide", [False, True], ids=["95M", "330M"])
def test_folders_of_the_published_sizes_are_imported(tmp_path, wide):
    sizes = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
    base = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
    save_published(
        tmp_path / "folder", do_stable_layer_norm=wide, conv_dim=[512] * 7, num_conv_pos_embeddings=128,
        num_conv_pos_embedding_groups=16, **(sizes if wide else base),
    )  # fmt: skip
    done = import_hf(tmp_path / "folder", tmp_path / "mert.pt", NewHeads())
    assert done.largest_difference < 1e-4
    weights = read_checkpoint(tmp_path / "mert.pt", mapped=True)["model"]
    # the parameter counts of the published pretraining checkpoints, without their CQT kernels
    assert sum(weight.numel() for weight in weights.values()) == (317_875_664 if wide else 95_550_160)
