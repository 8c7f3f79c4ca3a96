"""The in-batch mixture adds pieces of other clips, and nothing else."""

import numpy as np
import pytest
import torch

from mert_fairseq.modules.mixing import Mixture


def _one_hot_clips(clips: int, samples: int) -> torch.Tensor:
    """Clip b holds 10^b everywhere, so that a sum of clips shows in its digits."""
    return (10.0 ** torch.arange(clips))[:, None].repeat(1, samples)


def _seeds(clips: int, start: int = 0) -> np.ndarray:
    return np.arange(start, start + clips, dtype=np.uint64)


def _pieces(mixed: torch.Tensor, wave: torch.Tensor) -> list[set[int]]:
    """Which clips were added to each clip: the digits that are above 0 somewhere."""
    added = (mixed - wave).long()
    return [{b for b in range(len(wave)) if (row // 10**b % 10 > 0).any()} for row in added]


def test_pieces_come_from_other_clips_only():
    wave = _one_hot_clips(5, 400)
    mixed = Mixture(1.0, (50, 100), (1, 3))(wave, _seeds(5))
    for clip, added in enumerate(_pieces(mixed, wave)):
        assert added
        assert clip not in added


@pytest.mark.parametrize(("least", "most"), [(1, 1), (2, 2), (1, 3)])
def test_number_and_length_of_pieces_lie_in_their_ranges(least, most):
    clips, samples = 200, 1000
    wave = torch.ones(clips, samples)
    mixed = Mixture(1.0, (50, 100), (least, most))(wave, _seeds(clips)) - wave
    total = mixed.sum(1)
    assert total.min() >= least * 50
    assert total.max() <= most * 100
    assert total.mean() == pytest.approx((least + most) / 2 * 75, rel=0.08)


def test_probability_is_that_of_mixing():
    wave = torch.ones(1000, 20)
    mixed = Mixture(0.3, (5, 5), (1, 1))(wave, _seeds(1000))
    assert (mixed != wave).any(1).float().mean() == pytest.approx(0.3, abs=0.04)


def test_a_piece_is_a_true_copy_scaled_by_the_volume():
    torch.manual_seed(0)
    wave = torch.randn(2, 300)
    mixed = Mixture(1.0, (100, 100), (1, 1), volume=0.5)(wave, _seeds(2))
    added = (mixed - wave)[0]
    place = int(added.nonzero()[0])
    piece = added[place : place + 100] / 0.5
    windows = wave[1].unfold(0, 100, 1)
    assert (windows - piece).abs().amax(1).min() < 1e-6
    assert (added[:place] == 0).all()
    assert (added[place + 100 :] == 0).all()


def test_nothing_enters_or_leaves_padding():
    wave = _one_hot_clips(3, 400)
    wave[0, 120:] = 0.0
    for start in range(0, 60, 3):
        mixed = Mixture(1.0, (100, 200), (3, 3))(wave, _seeds(3, start), np.array([120, 400, 400]))
        assert (mixed[0, 120:] == 0).all()
        from_short = ((mixed[1:] - wave[1:]) % 10).sum(1)
        assert (from_short <= 3 * 120).all()


def test_draws_belong_to_the_clip_and_repeat():
    wave = torch.randn(4, 200)
    mixture = Mixture(0.5, (20, 50), (1, 3))
    torch.testing.assert_close(mixture(wave, _seeds(4)), mixture(wave, _seeds(4)))
    assert not torch.equal(mixture(wave, _seeds(4)), mixture(wave, _seeds(4, 50)))


@pytest.mark.parametrize(("prob", "clips"), [(1.0, 1), (-1.0, 4), (0.0, 4)])
def test_a_lone_clip_or_no_probability_mixes_nothing(prob, clips):
    wave = torch.randn(clips, 100)
    assert torch.equal(Mixture(prob, (5, 10))(wave, _seeds(clips)), wave)


def test_clips_shorter_than_the_shortest_piece_are_mixed_with_what_there_is():
    mixed = Mixture(1.0, (8000, 24000), (1, 1))(torch.ones(2, 100), _seeds(2))
    assert (mixed == 2).all()


@pytest.mark.parametrize(("arguments", "message"), [
    ({"prob": 0.5, "snippet_samples": (24000, 8000)}, "inbatch_noise_augment_len_range is"),
    ({"prob": 0.5, "snippets": (0, 3)}, "inbatch_noise_augment_number_range is"),
    ({"prob": 1.5}, "mixture_prob is 1.5"),
])  # fmt: skip
def test_ranges_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mixture(**arguments)
