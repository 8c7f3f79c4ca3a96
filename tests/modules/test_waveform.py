"""Waves as models hear them."""

import torch

from mert_fairseq.modules.waveform import float_wave, standardised


def test_16_bit_samples_become_floats_and_floats_stay():
    pcm = torch.tensor([[-32_768, 0, 16_384]], dtype=torch.int16)
    assert float_wave(pcm).tolist() == [[-1.0, 0.0, 0.5]]
    assert float_wave(float_wave(pcm).half()).tolist() == [[-1.0, 0.0, 0.5]]
    assert float_wave(float_wave(pcm).half()).dtype == torch.float32


def test_padding_counts_for_nothing_in_a_standardised_clip():
    wave = torch.tensor([[1.0, 3.0, 9.0], [1.0, 2.0, 3.0]])
    found = standardised(wave, torch.tensor([[False, False, True], [False, False, False]]))
    torch.testing.assert_close(found[0], torch.tensor([-1.0, 1.0, 0.0]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[1], standardised(wave[1:])[0], rtol=1e-4, atol=1e-4)
