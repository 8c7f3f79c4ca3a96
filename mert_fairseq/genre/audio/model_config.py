"""Options of the model ``mert_genre``."""

from dataclasses import dataclass

from fairseq.dataclass import FairseqDataclass

from mert_fairseq.options import option


@dataclass
class MERTGenreConfig(FairseqDataclass):
    """A pretrained MERT, pooled, and a head."""

    checkpoint: str = option("", "of the pretrained MERT, as config/pretrain saves it; needed to begin, not to load")
    finetune_layers: int = option(-1, "layers, from the top, that learn with the head; 0: none, -1: all of MERT")
    pooling: str = option("attention", "of a clip's frames: attention (learnt) or mean")
    head_dim: int = option(0, "width of a hidden layer in the head; 0 for a linear head, the fairest probe")
    head_dropout: float = option(0.1, "share of what enters the head that is dropped in training")
    encoder_lr_scale: float = option(
        0.1, "learning rate of MERT's top layer over that of the head, which starts from nothing"
    )
    layer_lr_decay: float = option(
        0.9, "learning rate of each layer over that of the one above it; lower layers are more general"
    )


def check_config(cfg: MERTGenreConfig, layers: int) -> None:
    """Refuse what cannot be built.

    Args:
        cfg: the options.
        layers: of the encoder.

    Raises:
        ValueError: naming the option, what was found and what was expected.
    """
    if not -1 <= cfg.finetune_layers <= layers:
        raise ValueError(
            f"model.finetune_layers is {cfg.finetune_layers}, expected 0 (frozen) to {layers} (all Transformer "
            f"layers), or -1 (the conv stack too)."
        )
    if not 0 <= cfg.head_dropout < 1 or cfg.head_dim < 0:
        raise ValueError(
            f"model.head_dropout is {cfg.head_dropout} and model.head_dim {cfg.head_dim}, expected a share from 0 to "
            f"below 1, and a width of at least 0."
        )
    if cfg.encoder_lr_scale <= 0 or not 0 < cfg.layer_lr_decay <= 1:
        raise ValueError(
            f"model.encoder_lr_scale is {cfg.encoder_lr_scale} and model.layer_lr_decay {cfg.layer_lr_decay}, expected "
            f"a factor above 0, and one above 0 and at most 1. To hold MERT still, set model.finetune_layers: 0."
        )
