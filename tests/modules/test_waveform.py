"""Float waves, normalisation, and the in-batch mixture, which adds snippets of other clips and nothing else."""

import numpy as np
import pytest
import torch

from mert_fairseq.modules.waveform import Mixture, float_wave, standardised


def test_16_bit_samples_become_floats_and_floats_keep_their_values():
    pcm = torch.tensor([[-32_768, 0, 16_384]], dtype=torch.int16)
    assert float_wave(pcm).tolist() == [[-1.0, 0.0, 0.5]]
    assert float_wave(float_wave(pcm).half()).tolist() == [[-1.0, 0.0, 0.5]]
    assert float_wave(float_wave(pcm).half()).dtype == torch.float32


def test_padding_does_not_change_the_mean_and_variance_of_a_clip():
    wave = torch.tensor([[1.0, 3.0, 9.0], [1.0, 2.0, 3.0]])
    found = standardised(wave, torch.tensor([[False, False, True], [False, False, False]]))
    torch.testing.assert_close(found[0], torch.tensor([-1.0, 1.0, 0.0]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[1], standardised(wave[1:])[0], rtol=1e-4, atol=1e-4)


def _one_hot_clips(clips: int, samples: int) -> torch.Tensor:
    """Clip b is 10^b everywhere, so that the digits of a sum show which clips were added."""
    return (10.0 ** torch.arange(clips))[:, None].repeat(1, samples)


def _seeds(clips: int, start: int = 0) -> np.ndarray:
    return np.arange(start, start + clips, dtype=np.uint64)


def _snippet_sources(mixed: torch.Tensor, wave: torch.Tensor) -> list[set[int]]:
    """The clips that were added to each clip: the digits that are above 0 somewhere."""
    added = (mixed - wave).long()
    return [{b for b in range(len(wave)) if (row // 10**b % 10 > 0).any()} for row in added]


def test_snippets_come_from_other_clips_only():
    wave = _one_hot_clips(5, 400)
    mixed = Mixture(1.0, (50, 100), (1, 3))(wave, _seeds(5))
    for clip, added in enumerate(_snippet_sources(mixed, wave)):
        assert added
        assert clip not in added


@pytest.mark.parametrize(("least", "most"), [(1, 1), (2, 2), (1, 3)])
def test_number_and_length_of_snippets_lie_in_their_ranges(least, most):
    clips, samples = 200, 1000
    wave = torch.ones(clips, samples)
    mixed = Mixture(1.0, (50, 100), (least, most))(wave, _seeds(clips)) - wave
    total = mixed.sum(1)
    assert total.min() >= least * 50
    assert total.max() <= most * 100
    assert total.mean() == pytest.approx((least + most) / 2 * 75, rel=0.08)


def test_prob_is_the_share_of_mixed_clips():
    wave = torch.ones(1000, 20)
    mixed = Mixture(0.3, (5, 5), (1, 1))(wave, _seeds(1000))
    assert (mixed != wave).any(1).float().mean() == pytest.approx(0.3, abs=0.04)


def test_a_snippet_is_an_exact_copy_scaled_by_the_volume():
    torch.manual_seed(0)
    wave = torch.randn(2, 300)
    mixed = Mixture(1.0, (100, 100), (1, 1), volume=0.5)(wave, _seeds(2))
    added = (mixed - wave)[0]
    place = int(added.nonzero()[0])
    snippet = added[place : place + 100] / 0.5
    windows = wave[1].unfold(0, 100, 1)
    assert (windows - snippet).abs().amax(1).min() < 1e-6
    assert (added[:place] == 0).all()
    assert (added[place + 100 :] == 0).all()


def test_snippets_neither_come_from_padding_nor_are_added_to_it():
    wave = _one_hot_clips(3, 400)
    wave[0, 120:] = 0.0
    for start in range(0, 60, 3):
        mixed = Mixture(1.0, (100, 200), (3, 3))(wave, _seeds(3, start), np.array([120, 400, 400]))
        assert (mixed[0, 120:] == 0).all()
        from_short = ((mixed[1:] - wave[1:]) % 10).sum(1)
        assert (from_short <= 3 * 120).all()


def test_the_same_seeds_repeat_the_same_mixture():
    wave = torch.randn(4, 200)
    mixture = Mixture(0.5, (20, 50), (1, 3))
    torch.testing.assert_close(mixture(wave, _seeds(4)), mixture(wave, _seeds(4)))
    assert not torch.equal(mixture(wave, _seeds(4)), mixture(wave, _seeds(4, 50)))


@pytest.mark.parametrize(("prob", "clips"), [(1.0, 1), (-1.0, 4), (0.0, 4)])
def test_a_single_clip_or_prob_0_or_less_changes_nothing(prob, clips):
    wave = torch.randn(clips, 100)
    assert torch.equal(Mixture(prob, (5, 10))(wave, _seeds(clips)), wave)


def test_snippets_are_as_long_as_the_clips_if_these_are_shorter():
    mixed = Mixture(1.0, (8000, 24000), (1, 1))(torch.ones(2, 100), _seeds(2))
    assert (mixed == 2).all()


@pytest.mark.parametrize(("arguments", "message"), [
    ({"prob": 0.5, "snippet_samples": (24000, 8000)}, "inbatch_noise_augment_len_range is"),
    ({"prob": 0.5, "snippets": (0, 3)}, "inbatch_noise_augment_number_range is"),
    ({"prob": 1.5}, "mixture_prob is 1.5"),
])  # fmt: skip
def test_invalid_ranges_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mixture(**arguments)
