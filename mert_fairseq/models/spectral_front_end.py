"""A front end of spectra: log-compressed CQT and log-mel frames in place of the conv stack. Not in published MERT."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mert_fairseq.frames import ConvLayer, num_conv_frames, receptive_field
from mert_fairseq.modules.conv_stack import check_length
from mert_fairseq.teachers.cqt import CQTTeacher
from mert_fairseq.teachers.logmel import LogMelTeacher

# Shape letters: B batch, T samples, C channels, F frames.

# Round figures that give both parts about the same spread on recorded music with a peak near full scale.
CQT_GAIN = 10.0  # of log(1 + gain x magnitude)
MEL_MEAN, MEL_STD = -5.0, 3.5


class SpectralFrontEnd(nn.Module):
    """Maps a wave to spectral frames; it has no parameters and no gradients.

    It computes as many frames as the conv stack does, and frame i is centred on sample i x hop, like label i. Both
    transforms are float32, also in half-precision training.

    Args:
        layers: the conv stack that it replaces; only kernels and strides matter.
        cqt: pitch. Its windows should be short: long ones show masked frames through their visible neighbours.
        mel: timbre, and the frequencies above those of the CQT.

    Attributes:
        channels: C, bins of the CQT and bands of the log-mel spectrum.
        receptive_samples: the shortest clip with a frame, as for the conv stack.
        reach_samples: a frame sees at most so many samples to either side of its centre.
    """

    def __init__(self, layers: Sequence[ConvLayer], cqt: CQTTeacher, mel: LogMelTeacher) -> None:
        super().__init__()
        self.layers = list(layers)
        self.receptive_samples = receptive_field(self.layers)
        self.cqt, self.mel = cqt, mel
        self.channels = cqt.bins + mel.bins
        self.reach_samples = max(cqt.geometry.context_samples, mel.fft_samples // 2)

    @torch.no_grad()
    def forward(self, wave: Tensor) -> Tensor:
        """Map samples (B, T) to frames (B, C, F) float32; silence is assumed beyond both ends of a clip.

        Raises:
            ValueError: if there are fewer samples than one frame of the conv stack needs.
        """
        check_length(wave.size(1), self.receptive_samples)
        wave = wave.float()
        frames = num_conv_frames(wave.size(1), self.layers)
        cqt = (CQT_GAIN * self.cqt(wave)[:, :frames]).log1p()
        mel = (self.mel(wave)[:, :frames] - MEL_MEAN) / MEL_STD
        return torch.cat([cqt, mel], dim=-1).transpose(1, 2)

    def without_padding(self, wave: Tensor, lengths: np.ndarray) -> Tensor:
        """Map padded clips to the frames that each clip has without padding.

        Args:
            wave: (B, T), zero in the padding: that is the silence which is assumed beyond the end of a clip.
            lengths: (B,) samples before each clip's padding, on the CPU.

        Returns:
            (B, C, F); frames after a clip's own are meaningless.

        Raises:
            ValueError: if a clip has fewer samples than one frame of the conv stack needs.
        """
        check_length(int(lengths.min()), self.receptive_samples)
        return self(wave)
