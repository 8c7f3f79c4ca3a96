"""Options that PyTorch's DDP cannot train together, refused before the training starts."""

from omegaconf import DictConfig

from mert_fairseq.distributed.rank_layout import LayoutError

PYTORCH_DDP = ("c10d", "pytorch_ddp")


def check_ddp(cfg: DictConfig, world_size: int) -> None:
    """Refuse a DDP backend that would fail in the second update, because a step leaves parameters unused.

    Args:
        cfg: fairseq's configuration.
        world_size: number of ranks.

    Raises:
        LayoutError: naming the option that leaves parameters unused, and the remedies.
    """
    training = cfg.distributed_training
    if world_size == 1 or training.ddp_backend not in PYTORCH_DDP or training.find_unused_parameters:
        return
    if reasons := unused_parameters(cfg):
        raise LayoutError(
            f"distributed_training.ddp_backend={training.ddp_backend} with find_unused_parameters=false, but "
            f"{' and '.join(reasons)}. Set distributed_training.find_unused_parameters=true, or "
            f"distributed_training.ddp_backend=legacy_ddp."
        )


def unused_parameters(cfg: DictConfig) -> list[str]:
    """The options that leave parameters of the model ``mert`` without a gradient in some update, and why."""
    model, criterion = cfg.get("model") or {}, cfg.get("criterion") or {}
    if model.get("_name") != "mert":
        return []
    reasons = []
    if (layerdrop := model.get("encoder_layerdrop", 0.0)) > 0:
        reasons.append(f"model.encoder_layerdrop={layerdrop:g} drops layers")
    if (codebooks := model.get("random_codebook", -1)) > 0:
        reasons.append(f"model.random_codebook={codebooks} leaves heads out")
    if model.get("feature_grad_mult", 1.0) <= 0:
        reasons.append("model.feature_grad_mult=0 gives the conv stack no gradient")
    heads = [
        ("pred_masked_weight", True, "the heads of the codes"),
        ("cqt_weight", model.get("audio_cqt_loss_m", False), "the CQT head"),
        ("mel_weight", model.get("audio_mel_loss_m", False), "the log-mel head"),
    ]
    for weight, built, head in heads:
        unmasked_learnt = weight == "pred_masked_weight" and criterion.get("pred_nomask_weight", 0.0)
        if built and criterion.get(weight, 1.0) == 0 and not unmasked_learnt:
            reasons.append(f"criterion.{weight}=0 leaves {head} out")
    return reasons
