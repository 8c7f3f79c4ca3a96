"""Configuration of a MERT encoder that transformers' HubertModel cannot hold."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig


class MERTEncoderConfig(PretrainedConfig):
    """Sizes of a MERT encoder (arXiv:2306.00107). Lists of layers have one value per encoder layer.

    Args:
        hidden_size: width of the encoder.
        intermediate_sizes: feed-forward widths.
        attention_heads: numbers of attention heads.
        hidden_act: activation of the feed-forward networks.
        norm: post, pre, deepnorm (arXiv:2203.00555) or subln (arXiv:2210.06423).
        conv_dim: channels of the convolutions over the wave.
        conv_kernel: their kernels.
        conv_stride: their strides; the product is the hop in samples.
        conv_bias: whether they add a bias.
        feat_extract_norm: group (one group norm after the first convolution) or layer (a layer norm after each).
        feat_proj: whether a linear layer maps the features to the encoder's width.
        feat_proj_stable_norm: norm without parameters before that layer, and another norm after it.
        front_end: wave (convolutions), both (a constant-Q transform appended to their features) or spectral
            (log-compressed constant-Q and log-mel frames in their place; the convolutions still set the frames).
        cqt_bins: bins of the constant-Q transform; 0 for none.
        cqt_octaves: octaves that they span.
        cqt_lowest_hz: frequency of the lowest bin, in Hz.
        cqt_longest_samples: longest constant-Q kernel of the spectral front end.
        mel_bins: mel bands of the spectral front end.
        mel_fft_samples: length of their Fourier transform.
        wave_norm: give each wave zero mean and unit variance first.
        num_conv_pos_embeddings: frames that the positional convolution spans; 0 for none.
        num_conv_pos_embedding_groups: its channel groups.
        conv_pos_depth: its number of convolutions.
        hidden_dropout: on the residual branches, in training.
        attention_dropout: on the attention weights.
        activation_dropout: after the feed-forward activation.
        feat_proj_dropout: on the projected features.
        layer_norm_eps: of all layer norms.
        sample_rate: of the wave, in Hz.
    """

    model_type = "mert_encoder"

    def __init__(
        self,
        hidden_size: int = 768,
        intermediate_sizes: tuple[int, ...] = (3072,) * 12,
        attention_heads: tuple[int, ...] = (12,) * 12,
        hidden_act: str = "gelu",
        norm: str = "post",
        conv_dim: tuple[int, ...] = (512,) * 7,
        conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2),
        conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2),
        conv_bias: bool = False,
        feat_extract_norm: str = "group",
        feat_proj: bool = True,
        feat_proj_stable_norm: bool = False,
        front_end: str = "wave",
        cqt_bins: int = 0,
        cqt_octaves: int = 7,
        cqt_lowest_hz: float = 32.7,
        cqt_longest_samples: int = 2400,
        mel_bins: int = 0,
        mel_fft_samples: int = 2048,
        wave_norm: bool = False,
        num_conv_pos_embeddings: int = 128,
        num_conv_pos_embedding_groups: int = 16,
        conv_pos_depth: int = 1,
        hidden_dropout: float = 0.1,
        attention_dropout: float = 0.1,
        activation_dropout: float = 0.0,
        feat_proj_dropout: float = 0.1,
        layer_norm_eps: float = 1e-5,
        sample_rate: int = 24_000,
        **kwargs: Any,
    ) -> None:
        self.hidden_size = hidden_size
        self.intermediate_sizes = list(intermediate_sizes)
        self.attention_heads = list(attention_heads)
        self.num_hidden_layers = len(self.intermediate_sizes)
        self.hidden_act = hidden_act
        self.norm = norm
        self.conv_dim = list(conv_dim)
        self.conv_kernel = list(conv_kernel)
        self.conv_stride = list(conv_stride)
        self.conv_bias = conv_bias
        self.feat_extract_norm = feat_extract_norm
        self.feat_proj = feat_proj
        self.feat_proj_stable_norm = feat_proj_stable_norm
        self.front_end = front_end
        self.cqt_bins = cqt_bins
        self.cqt_octaves = cqt_octaves
        self.cqt_lowest_hz = cqt_lowest_hz
        self.cqt_longest_samples = cqt_longest_samples
        self.mel_bins = mel_bins
        self.mel_fft_samples = mel_fft_samples
        self.wave_norm = wave_norm
        self.num_conv_pos_embeddings = num_conv_pos_embeddings
        self.num_conv_pos_embedding_groups = num_conv_pos_embedding_groups
        self.conv_pos_depth = conv_pos_depth
        self.hidden_dropout = hidden_dropout
        self.attention_dropout = attention_dropout
        self.activation_dropout = activation_dropout
        self.feat_proj_dropout = feat_proj_dropout
        self.layer_norm_eps = layer_norm_eps
        self.sample_rate = sample_rate
        kwargs.pop("num_hidden_layers", None)  # follows from the lists
        super().__init__(**kwargs)
