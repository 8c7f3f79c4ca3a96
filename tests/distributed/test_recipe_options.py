"""Which options that a recipe does not list take a leading ``+``: what the README says."""

import re

import pytest
from fairseq.dataclass.initialize import hydra_init
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import ConfigCompositionException

WITH_PLUS = {
    "task": "task.store_labels=true",
    "model": "model.conv_bias=true",
    "criterion": "criterion.loss_weights=[1]",
    "optimizer": "optimizer.use_old_adam=true",
    "lr_scheduler": "lr_scheduler.power=2.0",
}
WITHOUT = {
    "common": "common.empty_cache_freq=100",
    "checkpoint": "checkpoint.patience=3",
    "dataset": "dataset.curriculum=2",
    "distributed_training": "distributed_training.bucket_cap_mb=50",
    "optimization": "optimization.sentence_avg=true",
}


@pytest.fixture(params=["mert_95m", "mert_330m", "small", "tiny"])
def recipe(request, repo_root):
    """A recipe with fairseq's defaults under it, as fairseq-hydra-train composes it."""
    configs = ConfigStore.instance().repo
    before = dict(configs)
    hydra_init(request.param)
    with initialize_config_dir(str(repo_root / "config/pretrain"), version_base="1.1"):
        yield request.param
    for name in configs.keys() - before.keys():
        if name.endswith(".yaml"):  # not Hydra's own plugins
            del configs[name]


def test_options_of_what_is_registered_take_a_plus_and_fairseqs_own_take_none(recipe):
    with_plus = {f"+{override}": override for override in WITH_PLUS.values()}
    plain, changed = compose(recipe), compose(recipe, [*with_plus, *WITHOUT.values()])
    for override in (*WITH_PLUS.values(), *WITHOUT.values()):
        group, name = re.match(r"(\w+)\.(\w+)=", override).groups()
        assert (name in plain[group]) == (group in WITHOUT)
        assert changed[group][name] != plain[group].get(name)


@pytest.mark.parametrize("recipe", ["tiny"], indirect=True)
@pytest.mark.parametrize(
    ("override", "message"),
    [(WITH_PLUS["model"], "Could not override"), ("+" + WITHOUT["checkpoint"], "Could not append")],
)
def test_hydra_refuses_the_other_form(recipe, override, message):
    with pytest.raises(ConfigCompositionException, match=message):
        compose(recipe, [override])


def test_the_readme_names_these_groups(repo_root):
    readme = " ".join((repo_root / "README.md").read_text(encoding="utf-8").split())
    sentence = re.search(r"An option of ([^.]*) that the recipe does not list takes a leading `\+`; ([^.]*)\.", readme)
    assert set(re.findall(r"`(\w+)`", sentence[1])) == set(WITH_PLUS)
    assert set(re.findall(r"`(\w+)`", sentence[2])) == set(WITHOUT)
