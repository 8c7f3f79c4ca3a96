"""Options named in the documentation work as written: the recipes list them, so that Hydra accepts them."""

import re

import pytest
from fairseq.dataclass.initialize import hydra_init
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

OVERRIDES = {
    "pretrain/mert_95m": [
        "task.labels=[rvq_0,rvq_1]",
        "task.label_rate=50",
        "task.sample_rate=8000",
        "task.label_dir=/labels",
        "task.normalize=true",
        "task.picture_interval_updates=500",
        "task.sharding_data=4",
        "task.max_unreadable_share=0.1",
        "model.front_end=spectral",
        "model.mask_length=10",
        "model.exact_padding=true",
        "model.compile=all",
        "model.checkpoint_activations=true",
        "model.audio_cqt_loss_m=false",
        "model.audio_cqt_bins=84",
        "model.audio_mel_loss_m=true",
        "criterion.mel_weight=2",
        "criterion.cqt_weight=2",
        "criterion.pred_nomask_weight=1",
        "model.skip_nomask=false",
        "model.encoder_layers=3",
        "model.encoder_embed_dim=128",
        "model.encoder_ffn_embed_dim=512",
        "model.layer_norm_first=true",
        "optimization.update_freq=[8]",
        "dataset.max_tokens=100000",
        "checkpoint.keep_interval_updates=2",
        "distributed_training.distributed_world_size=2",
        "distributed_training.heartbeat_timeout=60",
        "common.user_dir=/checkout/mert_fairseq",
        "common.bf16=true",
    ],
    "genre/fma_features": [
        "task.subset=small",
        "task.labels=genres_all",
        "task.min_genre_tracks=10",
        "task.echonest=[audio_features]",
        "task.transforms=[signed_log]",
        "task.impute=mean",
        "task.clip=0",
        "task.pca=30",
        "criterion.class_weights=sqrt",
        "criterion.label_smoothing=0.1",
        "model.pooling=mean",
        "optimization.max_epoch=20",
    ],
    "genre/mert_finetune": [
        "task.label=genres",
        "task.label_dir=/labels",
        "task.multi_label=true",
        "task.min_genre_tracks=10",
        "task.max_sample_size=240000",
        "task.test_clips=3",
        "task.max_unreadable_share=0.1",
        "criterion.class_weights=balanced",
        "criterion.label_smoothing=0.1",
        "model.checkpoint=/mert.pt",
        "model.finetune_layers=0",
        "model.encoder_lr_scale=1",
        "model.layer_lr_decay=1",
        "model.pooling=mean",
        "model.head_dim=256",
        "optimization.lr=[0.005]",
        "optimization.max_update=1000",
        "lr_scheduler.warmup_updates=50",
        "dataset.validate_interval=10",
        "common.fp16_no_flatten_grads=true",
    ],
}
OVERRIDES["pretrain/mert_330m"] = OVERRIDES["pretrain/tiny"] = OVERRIDES["pretrain/mert_95m"]


@pytest.fixture
def composed(repo_root):
    """A recipe with overrides, composed as in ``fairseq-hydra-train``: with fairseq's schema under its name."""

    def compose_recipe(recipe, overrides):
        folder, name = recipe.split("/")
        hydra_init(name)
        with initialize_config_dir(str(repo_root / "config" / folder), version_base="1.1"):
            return compose(name, ["task.data=/data", *overrides])

    return compose_recipe


@pytest.mark.parametrize("recipe", OVERRIDES)
def test_every_documented_option_can_be_overridden_without_a_plus(composed, recipe):
    found, typed = composed(recipe, OVERRIDES[recipe]), OmegaConf.from_dotlist(OVERRIDES[recipe])
    for override in OVERRIDES[recipe]:
        name = override.split("=")[0]
        assert OmegaConf.select(found, name) == OmegaConf.select(typed, name), override


def test_every_option_in_the_documentation_is_tested_here(repo_root):
    documents = [repo_root / "README.md", *repo_root.glob("docs/*.md"), *repo_root.glob("examples/*/README.md")]
    documents.remove(repo_root / "docs/compatibility.md")  # lists the published code's options, also unsupported ones
    named = {
        name
        for path in documents
        for name in re.findall(r"(?<![+\w])(?:task|model|criterion)\.[a-z]\w+(?!\w|\()", path.read_text())
    }
    tried = {override.split("=")[0] for overrides in OVERRIDES.values() for override in overrides}
    assert len(named) > 10
    assert named - tried <= {"task.data", "model.safetensors"}  # the latter is a file
