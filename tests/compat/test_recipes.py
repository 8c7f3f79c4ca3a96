"""The published recipes parse and build unchanged, with our criterion and with fairseq's ``hubert``."""

import pytest
import torch
from fairseq import tasks
from fairseq.dataclass.initialize import add_defaults, hydra_init
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from tone_corpus import make_tone_corpus

import mert_fairseq  # noqa: F401 (registers task, model, criterion)

CODEBOOKS = 8


@pytest.fixture(scope="module")
def corpus_dir(tmp_path_factory):
    """Tracks of 4 s with 8 codebooks named as in the recipes."""
    folder = make_tone_corpus(tmp_path_factory.mktemp("recipes"), {"train": 2}, seconds=4.0, codebooks=CODEBOOKS)
    for file in [*folder.glob("train.rvq_*"), *folder.glob("dict.rvq_*")]:
        file.rename(folder / file.name.replace("rvq", "encodec"))
    return folder


def _compose(config_dir, name: str, overrides: list[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_dir), version_base="1.1"):
        hydra_init(name)
        config = compose(name, overrides)
    GlobalHydra.instance().clear()
    OmegaConf.set_struct(config, False)
    add_defaults(config)
    return config


def _recipe(shared_dir, tmp_path, corpus_dir, size: str, overrides: list[str]) -> DictConfig:
    recipe = OmegaConf.load(shared_dir / "reference/published_recipes.yaml")[size]
    OmegaConf.save(recipe, tmp_path / "recipe.yaml")
    labels = ",".join(f"encodec_{q}" for q in range(CODEBOOKS))
    given = [
        f"task.data={corpus_dir}",
        f"task.label_dir={corpus_dir}",
        f"task.labels=[{labels}]",
        "model.label_rate=75",
    ]
    return _compose(tmp_path, "recipe", [*given, "++model.encoder_layers=1", *overrides])


def _parts(config: DictConfig):
    task = tasks.setup_task(config.task)
    torch.manual_seed(0)
    return task, task.build_model(config.model), task.build_criterion(config.criterion)


@pytest.mark.shared
@pytest.mark.parametrize("size", ["95M", "330M"])
def test_both_criteria_have_the_same_loss_and_correct_accuracies(size, shared_dir, tmp_path, corpus_dir):
    ours = ["~criterion.loss_weights", "criterion._name=mert"]
    logs = {}
    for name, overrides in (("hubert", []), ("mert", ours)):
        task, model, criterion = _parts(
            _recipe(shared_dir, tmp_path, corpus_dir, size, ["++task.sharding_data=-1", *overrides])
        )
        task.load_dataset("train")
        dataset = task.dataset("train")
        sample = dataset.collater([dataset[i] for i in range(2)])
        _, size_, logs[name] = criterion(model.eval(), sample)
        predictions = model(target_list=sample["target_list"], **sample["net_input"])["masked"]
        for q, prediction in enumerate(predictions):
            right = int((prediction.logits.argmax(1) == prediction.targets).sum())
            assert int(logs[name][f"correct_m_{q}"]) == right
            assert logs[name][f"count_m_{q}"] == size_
    assert float(logs["mert"]["loss"]) == pytest.approx(float(logs["hubert"]["loss"]), rel=1e-5)
    for key in (f"loss_m_{q}" for q in range(CODEBOOKS)):
        assert float(logs["mert"][key]) == pytest.approx(float(logs["hubert"][key]), rel=1e-5)


@pytest.mark.shared
def test_recipe_values_reach_the_model(shared_dir, tmp_path, corpus_dir):
    config = _recipe(shared_dir, tmp_path, corpus_dir, "330M", [])
    _, model, criterion = _parts(config)
    layer = model.encoder.layers[0]
    assert (layer.self_attn.attention_relax, layer.self_attn.num_heads, layer.norm_first) == (32.0, 16, True)
    assert (model.mixture.prob, model.mixture.snippet_samples) == (0.5, (12_000, 36_000))
    assert (model.time_mask(0).prob, model.time_mask(0).length, model.logit_scale) == (0.8, 5, 10.0)
    assert model.label_embs_concat.shape == (8 * (16 + 4), 128)
    assert model.encoder_cqt_model.fc.out_features == 336
    assert list(criterion.loss_weights) == [10, 1]


def _flat(config, prefix: str = "") -> dict:
    flat = {}
    for key, value in config.items():
        flat.update(_flat(value, f"{prefix}{key}.") if hasattr(value, "items") else {f"{prefix}{key}": value})
    return flat


def _as_launched(repo_root, name: str) -> dict:
    """A recipe composed with fairseq's schema, which ``fairseq-hydra-train`` registers under the recipe's name."""
    GlobalHydra.instance().clear()
    stored = ConfigStore.instance().repo
    for other in ("mert_95m", "mert_330m"):
        stored.pop(f"{other}.yaml", None)
    hydra_init(name)
    with initialize_config_dir(str(repo_root / "config/pretrain"), version_base="1.1"):
        return _flat(OmegaConf.to_container(compose(name, ["task.data=/data"]), resolve=True))


def test_330m_differs_from_95m_only_where_it_must(repo_root):
    sizes = {name: _as_launched(repo_root, name) for name in ("mert_330m", "mert_95m")}
    changed = {k: v for k, v in sizes["mert_330m"].items() if sizes["mert_95m"].get(k, "absent") != v}
    assert sizes["mert_95m"].keys() == sizes["mert_330m"].keys()
    assert changed == {
        "checkpoint.save_dir": "exp/mert_330m",
        "distributed_training.find_unused_parameters": False,
        "dataset.max_tokens": 900_000,
        "dataset.max_tokens_valid": 900_000,  # fairseq sets it to max_tokens
        "optimization.lr": [0.0015],
        "optimization.clip_norm": 1.0,
        "optimization.update_freq": [8],
        "model.encoder_layers": 24,
        "model.encoder_embed_dim": 1024,
        "model.encoder_ffn_embed_dim": 4096,
        "model.encoder_attention_heads": 16,
        "model.layer_norm_first": True,
        "model.attention_relax": 32.0,
        "model.final_dim": 128,
        "model.feature_grad_mult": 1.0,
        "model.encoder_layerdrop": 0.0,
        "model.dropout_input": 0.0,
        "model.dropout_features": 0.0,
        "model.dropout": 0.0,
        "model.attention_dropout": 0.0,
        "model.inbatch_noise_augment_len_range": "[12000, 36000]",
    }


@pytest.mark.shared
@pytest.mark.parametrize(("size", "name"), [("95M", "mert_95m"), ("330M", "mert_330m")])
def test_our_recipes_keep_the_published_values_of_model_and_optimisation(size, name, shared_dir, repo_root):
    recipes = OmegaConf.load(shared_dir / "reference/published_recipes.yaml")
    published = _flat(OmegaConf.to_container(recipes[size]))
    ours = _as_launched(repo_root, name)
    groups = ("model.", "optimization.", "optimizer.", "lr_scheduler.")
    assert (published.pop("optimizer._name"), ours["optimizer._name"]) == (
        "adam",
        "fused_adamw",
    )
    for key, value in published.items():
        if key.startswith(groups) and key != "model.label_rate" and key in ours:
            assert ours[key] == value, key
    missing = {key for key in published if key.startswith(groups)} - ours.keys()
    assert missing <= {"model.audio_extract_type", "model.deepnorm"}  # have their default values
