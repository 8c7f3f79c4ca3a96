"""The network of MARBLE's separation probe: Open-Unmix's body over frozen features."""

import torch
from torch import Tensor, nn

from mert_fairseq.probing.separation.spectra import BINS

# Shape letters: B clips, F frames, S states, D width.

HIDDEN = 512


class FeatureUnmix(nn.Module):
    """Magnitudes of one source from features and the magnitudes of the mixture.

    The LSTM runs forward only, as in MARBLE's code; its paper calls it bidirectional.

    Args:
        states: S of the features; the weighted sum has a learnt scalar for each, a single state has none.
        width: D.
        hidden: of the LSTM, 512.
        bidirectional: run the LSTM in both directions, as in the paper.
    """

    def __init__(self, states: int, width: int, hidden: int = HIDDEN, bidirectional: bool = False) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.randn(states)) if states > 1 else None
        self.shift, self.scale = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.ones(width))
        self.encode, self.encode_norm = nn.Linear(width, hidden, bias=False), nn.BatchNorm1d(hidden)
        lstm_width = hidden // 2 if bidirectional else hidden
        self.lstm = nn.LSTM(
            hidden, lstm_width, num_layers=3, dropout=0.4, batch_first=True, bidirectional=bidirectional
        )
        self.decode, self.decode_norm = nn.Linear(2 * hidden, hidden, bias=False), nn.BatchNorm1d(hidden)
        self.bins, self.bins_norm = nn.Linear(hidden, BINS, bias=False), nn.BatchNorm1d(BINS)
        self.out_scale, self.out_shift = nn.Parameter(torch.ones(BINS)), nn.Parameter(torch.ones(BINS))

    def forward(self, features: Tensor, magnitudes: Tensor) -> Tensor:
        """(B, S, F, D) features and (B, F, bins) magnitudes to (B, F, bins) magnitudes of the source."""
        weights = features.new_ones(1) if self.mix is None else self.mix.softmax(0)
        x = self.encode((torch.einsum("s,bsfd->bfd", weights, features) + self.shift) * self.scale)
        x = _over_frames(self.encode_norm, x).tanh()
        x = torch.cat([x, self.lstm(x)[0]], 2)
        x = _over_frames(self.decode_norm, self.decode(x)).relu()
        x = _over_frames(self.bins_norm, self.bins(x)) * self.out_scale + self.out_shift
        return x.relu() * magnitudes


def _over_frames(norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    return norm(x.flatten(0, 1)).view_as(x)
