"""The fairseq model ``fma_feature_transformer``: a Transformer that classifies genres from feature tokens."""

from dataclasses import dataclass
from typing import Any

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model
from torch import Tensor, nn

from mert_fairseq.genre.audio.pooling import MeanPooling
from mert_fairseq.genre.features.tokens import FeatureTokens
from mert_fairseq.modules.encoder import TransformerEncoderExtend
from mert_fairseq.modules.layers import LayerSpec, layer_specs
from mert_fairseq.options import option

POOLINGS = ("cls", "mean")


@dataclass
class FMATransformerConfig(FairseqDataclass):
    """Defaults for 518 numbers per track and 20,000 tracks. Names are those of the model ``mert``."""

    encoder_layers: int = option(3, "Transformer layers")
    encoder_embed_dim: int = option(96, "width D of a token; a multiple of the number of heads")
    encoder_ffn_embed_dim: int = option(192, "width of the feed-forward network")
    encoder_attention_heads: int = option(4, "attention heads")
    dropout: float = option(0.1, "on the residual branches and the pooled vector")
    dropout_input: float = option(0.1, "on the embedded tokens")
    attention_dropout: float = option(0.1, "on the attention weights")
    activation_dropout: float = option(0.0, "after the feed-forward activation")
    activation_fn: str = option("gelu", "of the feed-forward network, by fairseq's name")
    layer_norm_first: bool = option(True, "pre-norm layers, which train without a long warm-up")
    encoder_layerdrop: float = option(0.0, "probability that a layer is skipped in a training step")
    attention_relax: float = option(-1.0, "scale of relaxed softmax against float16 overflow; -1 for none")
    pooling: str = option(
        "cls", "how tokens become one vector: cls (a learnt token that attends to all others) or mean"
    )


@register_model("fma_feature_transformer", dataclass=FMATransformerConfig)
class FMAFeatureTransformer(BaseFairseqModel):
    """Maps feature tokens (B, N, W) to logits (B, K).

    Args:
        cfg: sizes.
        token_sizes: numbers in each of the G tokens.
        token_width: W, the padded length of a token.
        genres: K.

    Raises:
        ValueError: if the pooling is unknown.
    """

    def __init__(self, cfg: FMATransformerConfig, token_sizes: list[int], token_width: int, genres: int) -> None:
        super().__init__()
        if cfg.pooling not in POOLINGS:
            raise ValueError(f"model.pooling is {cfg.pooling!r}, expected one of {', '.join(POOLINGS)}.")
        width = cfg.encoder_embed_dim
        self.tokens = FeatureTokens(token_sizes, width, token_width)
        self.cls = nn.Parameter(torch.randn(1, 1, width)) if cfg.pooling == "cls" else None
        spec = LayerSpec(
            embed_dim=width,
            ffn_dim=cfg.encoder_ffn_embed_dim,
            heads=cfg.encoder_attention_heads,
            dropout=cfg.dropout,
            attention_dropout=cfg.attention_dropout,
            activation_dropout=cfg.activation_dropout,
            activation=cfg.activation_fn,
            norm="pre" if cfg.layer_norm_first else "post",
            attention_relax=cfg.attention_relax,
        )
        self.encoder = TransformerEncoderExtend(
            layer_specs(spec, cfg.encoder_layers),
            conv_pos=0,  # no positions: the embedding of each token identifies it
            input_dropout=cfg.dropout_input,
            layerdrop=cfg.encoder_layerdrop,
            required_seq_len_multiple=1,
        )
        self.dropout = nn.Dropout(cfg.dropout)
        self.mean = MeanPooling()
        self.head = nn.Linear(width, genres)

    @classmethod
    def build_model(cls, cfg: FMATransformerConfig, task: Any) -> "FMAFeatureTransformer":
        """Build for a task that has ``token_sizes``, ``token_width`` and ``vocabulary``."""
        return cls(cfg, task.token_sizes, task.token_width, len(task.vocabulary))

    def forward(self, tokens: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Compute the logits.

        Args:
            tokens: (B, N, W), zero-padded.
            padding_mask: (B, N) bool, True where a track lacks a token.

        Returns:
            Logits (B, K).
        """
        x = self.tokens(tokens)
        if self.cls is not None:
            x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1)
            if padding_mask is not None:
                padding_mask = nn.functional.pad(padding_mask, (1, 0), value=False)
        x, _ = self.encoder(x, padding_mask)
        pooled = x[:, 0] if self.cls is not None else self.mean(x, padding_mask)
        return self.head(self.dropout(pooled))
