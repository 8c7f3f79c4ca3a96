"""Layer drop under PyTorch's DDP: options that train, and options that are refused before the start."""

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from tiny_mert import tiny_mert
from torch.nn.parallel import DistributedDataParallel

from mert_fairseq.distributed.config_checks import check_ddp, unused_parameters
from mert_fairseq.distributed.launch import call_main
from mert_fairseq.distributed.rank_layout import LayoutError


@pytest.fixture
def process_group(tmp_path):
    """A group of one rank, in which DDP also checks for unused parameters."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", world_size=1, rank=0)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("checkpoint_activations", [False, True])
@pytest.mark.parametrize("gradient_as_bucket_view", [False, True])
def test_layer_drop_trains_under_ddp_that_finds_unused_parameters(
    process_group, checkpoint_activations, gradient_as_bucket_view
):
    torch.manual_seed(0)
    model = tiny_mert(encoder_layerdrop=0.5, checkpoint_activations=checkpoint_activations).train()
    wrapped = DistributedDataParallel(
        model, find_unused_parameters=True, gradient_as_bucket_view=gradient_as_bucket_view
    )
    steps(wrapped)
    assert all(parameter.grad is not None for parameter in model.encoder.layers[0].parameters())


@pytest.mark.parametrize("options", [{}, {"random_codebook": 1, "untie_final_proj": True}, {"feature_grad_mult": 0.0}])
def test_refused_options_fail_under_ddp(process_group, options):
    """Layer drop and other options that leave parameters unused: each is refused here, and DDP fails with it."""
    layerdrop = 0.0 if options else 0.5
    cfg = {"_name": "mert", "encoder_layerdrop": layerdrop, **options}
    assert unused_parameters(OmegaConf.create({"model": cfg}))
    model = tiny_mert(encoder_layerdrop=layerdrop, **options).train()
    with pytest.raises(RuntimeError, match="Expected to have finished reduction"):
        steps(DistributedDataParallel(model))


def test_other_options_train_under_ddp(process_group):
    cfg = {"_name": "mert", "encoder_layerdrop": 0.0, "audio_cqt_loss_m": True}
    assert not unused_parameters(OmegaConf.create({"model": cfg, "criterion": {"_name": "mert", "cqt_weight": 1.0}}))
    steps(DistributedDataParallel(tiny_mert(encoder_layerdrop=0.0, checkpoint_activations=True).train()))


def steps(model: torch.nn.Module, number: int = 6) -> None:
    torch.manual_seed(1)
    source = torch.randn(2, 12_000)
    targets = [torch.randint(4, 20, (2, 37)) for _ in range(2)]
    for _ in range(number):
        output = model(source, target_list=targets)
        losses = [torch.nn.functional.cross_entropy(p.logits, p.targets) for p in output["masked"]]
        (sum(losses) + output["features_pen"] + output["cqt_pred_m"]).backward()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"model": {"encoder_layerdrop": 0.05}}, r"model\.encoder_layerdrop=0\.05 drops layers"),
        ({"model": {"random_codebook": 2}}, r"model\.random_codebook=2 does not use all heads"),
        ({"criterion": {"cqt_weight": 0.0}}, r"criterion\.cqt_weight=0 does not use the CQT head"),
        (
            {"criterion": {"pred_masked_weight": 0.0}},
            r"criterion\.pred_masked_weight=0 does not use the heads of",
        ),
    ],
)
def test_ddp_that_would_fail_in_the_second_update_is_refused_at_the_start(monkeypatch, options, reason):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    cfg = OmegaConf.create(
        {
            "common": {"cpu": False, "fp16": True, "tpu": False, "model_parallel_size": 1, "user_dir": None},
            "distributed_training": {
                "pipeline_model_parallel": False, "distributed_world_size": 2, "distributed_init_method": None,
                "distributed_rank": 0, "distributed_no_spawn": False, "distributed_port": 0,
                "ddp_backend": "pytorch_ddp", "find_unused_parameters": False,
            },
            "model": {"_name": "mert", "encoder_layerdrop": 0.0, "audio_cqt_loss_m": True},
            "criterion": {"_name": "mert", "pred_nomask_weight": 0.0},
        }
    )  # fmt: skip
    remedy = r"Set distributed_training\.find_unused_parameters=true, or .*ddp_backend=legacy_ddp"
    with pytest.raises(LayoutError, match=f"{reason}.*{remedy}"):
        call_main(OmegaConf.merge(cfg, options), lambda cfg: pytest.fail("it started"))
    for remedy_options in ({"find_unused_parameters": True}, {"ddp_backend": "legacy_ddp"}):
        check_ddp(OmegaConf.merge(cfg, options, {"distributed_training": remedy_options}), world_size=2)
    check_ddp(OmegaConf.merge(cfg, options), world_size=1)


@pytest.mark.parametrize(("recipe", "finds_unused"), [("mert_95m", True), ("mert_330m", False)])
def test_the_recipes_overlap_communication_and_find_unused_parameters_if_layers_drop(repo_root, recipe, finds_unused):
    with initialize_config_dir(str(repo_root / "config/pretrain"), version_base="1.1"):
        cfg = compose(recipe)
    training = cfg.distributed_training
    assert (training.ddp_backend, training.gradient_as_bucket_view) == ("pytorch_ddp", True)
    assert training.find_unused_parameters == bool(unused_parameters(cfg)) == finds_unused
