"""Masks of a batch before the model sees it: sampled where the batch is made, in the data-loader workers."""

from dataclasses import dataclass

import numpy as np

from mert_fairseq.frames import ConvLayer, num_conv_frames, paired_targets
from mert_fairseq.modules.batch import frame_counts
from mert_fairseq.modules.masking import SpanMaskConfig, masked_positions, span_masks

# Shape letters: B batch, F frames, S masked frames.


@dataclass(frozen=True)
class MaskSampler:
    """Samples the masks that the model would sample: they depend on the clips' seeds and lengths only.

    Attributes:
        spans: distribution of the masked spans; it must not change during training.
        conv_layers: of the conv stack, which determine the number of frames.
        targets_per_frame: ratio of the frame rates of labels and encoder.
        exact_padding: as the model's option: count the frames that a clip has without padding.
    """

    spans: SpanMaskConfig
    conv_layers: tuple[ConvLayer, ...]
    targets_per_frame: float = 1.0
    exact_padding: bool = False

    def __call__(self, clip_seeds: np.ndarray, lengths: np.ndarray, labels: int) -> tuple[np.ndarray, np.ndarray]:
        """Sample the masks of a batch.

        Args:
            clip_seeds: (B,) int64.
            lengths: (B,) samples of each clip before its padding.
            labels: of each codebook, in the padded batch.

        Returns:
            The mask, (B, F) bool, and the positions of the masked frames among all B x F frames, (S,) int64.
        """
        samples, layers = int(lengths.max()), list(self.conv_layers)
        frames = len(paired_targets(num_conv_frames(samples, layers), labels, self.targets_per_frame))
        sizes = np.full(len(lengths), frames)
        if frames and lengths.min() < samples:  # without a frame, the model reports the clip as too short
            sizes = frame_counts(lengths, samples, frames, layers, self.exact_padding)
        masks = span_masks(sizes, frames, self.spans, clip_seeds.astype(np.uint64))
        return masks, masked_positions(masks)
