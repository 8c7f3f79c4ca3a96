"""Multi-head attention that does not overflow in half precision: fused kernels, or explicit relaxed softmax."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from fairseq.modules.quant_noise import quant_noise
from torch import Tensor, nn

# Shape letters: L query frames, S key frames, B batch, H heads, d width of a head, D model width.


class MultiheadAttentionExtend(nn.Module):
    """Attention with fairseq's signature and parameter names.

    Without ``need_weights`` it uses PyTorch's ``scaled_dot_product_attention``. All kernels of that function keep
    scores in float32, so scores far beyond the range of float16 are safe. (At scores of 500,000 float32 resolves 1/32,
    and gradients lose digits.) The memory of the fused kernels is proportional to the length. On CPUs with dropout
    PyTorch uses the unfused kernel, whose memory grows with the square of the length.

    With ``need_weights`` the softmax is computed explicitly, in the relaxed form of CogView (PB-relax,
    arXiv:2105.13290), which MERT-330M uses (arXiv:2306.00107):

        softmax(q k' / sqrt(d)) = softmax((s - max s) a),    s = (q / (a sqrt(d))) k'

    The query is divided by ``a`` before the product, so that scores stay within the range of float16. Both forms are
    equal to ordinary softmax. kdim, vdim, add_bias_kv, add_zero_attn and q_noise are part of fairseq's interface; no
    recipe sets them.

    Args:
        embed_dim: D, width of query and output.
        num_heads: H; must divide D.
        kdim: width of the key's input; D if None.
        vdim: width of the value's input; D if None.
        dropout: probability of dropping an attention weight in training.
        bias: whether the four projections have a bias.
        add_bias_kv: append one learned key and value.
        add_zero_attn: append one key and value of zeros.
        self_attention: query, key and value are the same input; needs kdim = vdim = D.
        encoder_decoder_attention: key and value are the same input.
        q_noise: share of weights with quantisation noise in training (arXiv:2004.07320).
        qn_block_size: block size of that noise.
        attention_relax: a of the explicit softmax; 0 or less for none, 32 in MERT-330M.
        inner_norm: layer norm before the output projection (Sub-LN, arXiv:2210.06423).
        batch_first: inputs and output are (B, L, D) instead of fairseq's (L, B, D); avoids copies.

    Raises:
        ValueError: if num_heads does not divide D, or self-attention has inputs of different widths.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        kdim: int | None = None,
        vdim: int | None = None,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        self_attention: bool = False,
        encoder_decoder_attention: bool = False,
        q_noise: float = 0.0,
        qn_block_size: int = 8,
        attention_relax: float = -1.0,
        inner_norm: bool = False,
        batch_first: bool = False,
    ) -> None:
        super().__init__()
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self._check_args(self_attention, encoder_decoder_attention)
        self.head_dim = embed_dim // num_heads
        self.dropout = dropout
        self.attention_relax = attention_relax
        self.batch_first = batch_first
        self.add_zero_attn = add_zero_attn
        self.self_attention, self.encoder_decoder_attention = self_attention, encoder_decoder_attention

        def projection(inputs: int) -> Any:
            return quant_noise(nn.Linear(inputs, embed_dim, bias=bias), q_noise, qn_block_size)

        self.k_proj = projection(self.kdim)
        self.v_proj = projection(self.vdim)
        self.q_proj = projection(embed_dim)
        self.out_proj = projection(embed_dim)
        self.bias_k = nn.Parameter(torch.empty(1, 1, embed_dim)) if add_bias_kv else None
        self.bias_v = nn.Parameter(torch.empty(1, 1, embed_dim)) if add_bias_kv else None
        self.inner_norm = nn.LayerNorm(embed_dim) if inner_norm else None
        self.reset_parameters()

    def _check_args(self, self_attention: bool, encoder_decoder_attention: bool) -> None:
        if self.num_heads < 1 or self.embed_dim % self.num_heads:
            raise ValueError(
                f"encoder_attention_heads {self.num_heads} does not divide the width {self.embed_dim}. "
                f"Set a number of heads that divides encoder_embed_dim."
            )
        if self_attention and not self.kdim == self.vdim == self.embed_dim:
            raise ValueError(
                f"self_attention needs keys and values of the query's width {self.embed_dim}, found kdim {self.kdim} "
                f"and vdim {self.vdim}. Remove kdim and vdim."
            )
        if self_attention and encoder_decoder_attention:
            raise ValueError("self_attention and encoder_decoder_attention are both set: set at most one of them.")

    def reset_parameters(self) -> None:
        """Xavier uniform. With equal widths the gain for q, k and v is 1 / sqrt(2), as for one (D, 3 D) matrix."""
        same_width = self.kdim == self.vdim == self.embed_dim
        for projection in (self.k_proj, self.v_proj, self.q_proj):
            nn.init.xavier_uniform_(projection.weight, gain=1 / math.sqrt(2) if same_width else 1.0)
        nn.init.xavier_uniform_(self.out_proj.weight)
        if self.out_proj.bias is not None:
            nn.init.zeros_(self.out_proj.bias)
        for appended in (self.bias_k, self.bias_v):
            if appended is not None:
                nn.init.xavier_normal_(appended)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = False,
        attn_mask: Tensor | None = None,
        need_head_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Compute attention.

        Args:
            query: (L, B, D), or (B, L, D) with ``batch_first``; the same order applies to key and value.
            key: (S, B, kdim); the query if None or ``self_attention``.
            value: (S, B, vdim); the key if None, ``self_attention`` or ``encoder_decoder_attention``.
            key_padding_mask: (B, S) bool, True for padding.
            need_weights: return the attention weights, averaged over heads.
            attn_mask: (L, S): bool, True for pairs without attention; or float, added to the scores.
            need_head_weights: return the weights of each head.

        Returns:
            (L, B, D), and the weights in float32: None, (B, L, S), or (H, B, L, S) with ``need_head_weights``.
        """
        if key is None or self.self_attention:
            key = query
        if value is None or self.self_attention or self.encoder_decoder_attention:
            value = key
        k, v = self.k_proj(key), self.v_proj(value)
        q_BHLd, k_BHSd, v_BHSd = (self._split_heads(x) for x in (self.q_proj(query), k, v))
        if self.bias_k is not None and self.bias_v is not None:
            k_BHSd, v_BHSd = self._append(k_BHSd, self.bias_k), self._append(v_BHSd, self.bias_v)
        if self.add_zero_attn:
            k_BHSd, v_BHSd = (F.pad(x, (0, 0, 0, 1)) for x in (k_BHSd, v_BHSd))
        score_bias = _score_bias(key_padding_mask, attn_mask, keys=k_BHSd.size(2), dtype=q_BHLd.dtype)

        weights = None
        if need_weights or need_head_weights:
            weights = self._weights(q_BHLd, k_BHSd, score_bias)
            dropped = F.dropout(weights, self.dropout, self.training)
            attended = torch.matmul(dropped.to(v_BHSd.dtype), v_BHSd)
        else:
            dropout = self.dropout if self.training else 0.0
            attended = F.scaled_dot_product_attention(q_BHLd, k_BHSd, v_BHSd, score_bias, dropout)
        merged = (attended.transpose(1, 2) if self.batch_first else attended.permute(2, 0, 1, 3)).reshape(query.shape)
        if self.inner_norm is not None:
            merged = self.inner_norm(merged)
        return self.out_proj(merged), self._returned_weights(weights, need_weights, need_head_weights)

    def _split_heads(self, x: Tensor) -> Tensor:
        x = x.view(*x.shape[:2], self.num_heads, self.head_dim)
        return x.transpose(1, 2) if self.batch_first else x.permute(1, 2, 0, 3)

    def _append(self, x_BHSd: Tensor, learned: Tensor) -> Tensor:
        """Append the ``learned`` key or value (1, 1, D) to x (B, H, S, d)."""
        learned_Hd = learned.view(self.num_heads, 1, self.head_dim)
        return torch.cat([x_BHSd, learned_Hd.expand(x_BHSd.size(0), -1, -1, -1)], dim=2)

    def _weights(self, q_BHLd: Tensor, k_BHSd: Tensor, score_bias: Tensor | None) -> Tensor:
        """Softmax over the keys, (B, H, L, S) float32."""
        relax = self.attention_relax if self.attention_relax > 0 else 1.0
        scores = torch.matmul(q_BHLd / (relax * math.sqrt(self.head_dim)), k_BHSd.transpose(-2, -1)).float()
        if score_bias is not None:
            scores = scores + score_bias.float() / relax
        if relax == 1.0:
            return scores.softmax(-1)
        return ((scores - scores.detach().amax(-1, keepdim=True)) * relax).softmax(-1)

    @staticmethod
    def _returned_weights(weights: Tensor | None, need_weights: bool, need_head_weights: bool) -> Tensor | None:
        if weights is None or not (need_weights or need_head_weights):
            return None
        return weights.transpose(0, 1) if need_head_weights else weights.mean(1)


def _score_bias(padding: Tensor | None, attn_mask: Tensor | None, keys: int, dtype: torch.dtype) -> Tensor | None:
    """The sum of both masks, added to the scores; broadcasts to (B, H, L, S). Appended keys are never masked."""
    bias = None
    if padding is not None:
        padding = F.pad(padding.bool(), (0, keys - padding.size(-1)))
        bias = _minus_infinity_where(padding, dtype)[:, None, None, :]
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            attn_mask = _minus_infinity_where(attn_mask, dtype)
        attn_mask = F.pad(attn_mask.to(dtype), (0, keys - attn_mask.size(-1)))
        bias = attn_mask if bias is None else bias + attn_mask
    return bias


def _minus_infinity_where(masked: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(masked.shape, dtype=dtype, device=masked.device).masked_fill_(masked, float("-inf"))
