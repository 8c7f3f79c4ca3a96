"""Beats: labels, the network against another implementation, peaks and the summed F measure."""

import mir_eval
import numpy as np
import pytest
import torch

from mert_fairseq.probing.beats.beat_events import WIDENING, frame_targets, pick_peaks, summed_f_measure
from mert_fairseq.probing.beats.beat_network import BeatNetwork
from mert_fairseq.probing.objectives import TwoClassBeatObjective, beat_objective
from mert_fairseq.probing.probe_data import Clip
from mert_fairseq.probing.rows import Rows


def activations(seed: int, seconds: float = 20.0, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Noise with high values at regular beats, and their times."""
    random = np.random.default_rng(seed)
    period = random.uniform(0.35, 0.9)
    beats = np.arange(0.3, seconds - 0.1, period)
    wave = random.uniform(0.001, noise, round(75 * seconds))
    wave[np.rint(75 * beats).astype(int)] = 0.95
    return wave, beats


def test_the_published_range_has_62_tempi_and_3193_states():
    network = BeatNetwork()
    assert (len(network.intervals), network.intervals[0], network.intervals[-1]) == (62, 21, 82)
    assert network.num_states == 3193


@pytest.mark.parametrize("seed", range(3))
def test_regular_beats_are_found_where_they_are(seed):
    wave, beats = activations(seed)
    found = BeatNetwork().beats(wave)
    assert summed_f_measure([(beats, found)], 1 / 75) > 0.97


def test_no_activation_gives_no_beats():
    assert BeatNetwork().beats(np.zeros(100)).tolist() == []
    assert BeatNetwork().beats(np.zeros(0)).tolist() == []


@pytest.mark.parametrize("seed", range(4))
def test_paths_equal_those_of_madmoms_hidden_markov_model(seed):
    pytest.importorskip("madmom_infer")
    from madmom_infer.features.beats_hmm import BeatStateSpace, BeatTransitionModel, RNNBeatTrackingObservationModel
    from madmom_infer.ml.hmm import HiddenMarkovModel

    class Observations(RNNBeatTrackingObservationModel):
        """Its own densities, which do not run on numpy 2."""

        def log_densities(self, observations):
            return np.stack([np.log((1 - observations) / 15), np.log(observations)], 1)

    states = BeatStateSpace(60 * 75 / 215, 60 * 75 / 55)
    model = HiddenMarkovModel(BeatTransitionModel(states, 100), Observations(states, 16), None)
    wave, _ = activations(seed, noise=0.2 * (seed + 1))
    expected, _ = model.viterbi(wave)
    np.testing.assert_array_equal(BeatNetwork().path(wave), expected)


def test_marks_are_widened_and_the_larger_stays():
    # beats on frames 2 and 4: frame 3 is a neighbour of both
    marked = frame_targets([2 / 75, 4 / 75], 8, 75, WIDENING["v1"]["beat"])
    np.testing.assert_allclose(marked, [0.5, 0.95, 1, 0.95, 1, 0.95, 0.5, 0])
    np.testing.assert_allclose(frame_targets([2 / 75], 5, 75, WIDENING["v2"]["beat"]), [0.25, 0.5, 1, 0.5, 0.25])
    np.testing.assert_allclose(frame_targets([2 / 75], 5, 75, WIDENING["v1_softmax"]["beat"]), [0, 1, 1, 1, 0])
    np.testing.assert_allclose(frame_targets([0.0, 99.0], 3, 75), [1, 0, 0])


def test_peaks_keep_their_distance_and_may_lie_at_the_ends():
    wave = np.zeros(100)
    wave[[0, 30, 35, 99]] = [0.8, 0.9, 0.7, 0.8]  # 35 is nearer to 30 than 60 / 215 s
    np.testing.assert_allclose(pick_peaks(wave, 75, 0.5) * 75, [0, 30, 99])
    np.testing.assert_allclose(pick_peaks(wave, 75, 0.85) * 75, [30])


def test_f_comes_from_summed_counts_within_70_milliseconds():
    pairs = [
        (np.array([1.0, 2.0]), np.array([1.06, 2.08])),  # one match of two
        (np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 4.0, 5.0])),  # four of five
    ]
    # 5 matches, 6 references, 7 estimates; the mean of the two F would be 0.69
    assert summed_f_measure(pairs) == pytest.approx(2 * 5 / (6 + 7))
    assert summed_f_measure([(np.zeros(0), np.zeros(0))]) == 0.0


def test_for_one_track_f_equals_mir_evals():
    random = np.random.default_rng(0)
    reference = np.cumsum(random.uniform(0.3, 0.7, 40)) + 5.0  # mir_eval drops what is before 5 s by default
    estimate = np.sort(np.concatenate([reference[::2] + random.normal(0, 0.05, 20), random.uniform(5, 20, 9)]))
    expected = mir_eval.beat.f_measure(reference, estimate)
    assert 0 < expected < 1
    assert summed_f_measure([(reference, estimate)]) == pytest.approx(expected, abs=1e-6)


def two_class_rows(frames: int = 40) -> Rows:
    clip = Clip("a", "", {"beat": [10 / 75, 30 / 75], "downbeat": [10 / 75]})
    objective = TwoClassBeatObjective(monitor_by="peaks")
    targets = objective.encode_frames([clip], [frames], training=False)
    return Rows([torch.zeros(frames, 1)], torch.tensor([frames]), [clip], targets, per_row=True)


def test_the_two_class_head_is_a_softmax_over_beat_and_no_beat():
    objective, rows = TwoClassBeatObjective(monitor_by="peaks"), two_class_rows()
    outputs = torch.zeros(1, 40, 2)
    outputs[0, [10, 30], 1] = 3.0
    losses = objective.loss(outputs, rows.targets[None])
    assert float(losses[0, 10]) == pytest.approx(np.log(1 + np.exp(-3)), abs=1e-6)
    assert float(losses[0, 11]) == pytest.approx(np.log(2), abs=1e-6)
    assert float(objective.activations(outputs)[0, 10, 0]) == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-6)
    assert float(objective.monitor(outputs, rows)[0]) == 1.0  # the highest peaks keep others away
    assert objective.score(outputs[0], rows, objective.tune(outputs[0], rows)).keys() == {"beat_f", "beat_f_peaks"}
    assert objective.score(outputs[0], rows, (0.6,))["beat_f_peaks"] == 1.0


def test_two_class_labels_are_widened_by_one_whole_frame_and_have_no_downbeats():
    clip = Clip("a", "", {"beat": [2 / 75], "downbeat": []})
    targets = TwoClassBeatObjective().encode_frames([clip], [5], training=True)
    assert targets[:, 0].tolist() == [0, 1, 1, 1, 0]
    assert isinstance(beat_objective(75.0, "v1_softmax", "peaks"), TwoClassBeatObjective)
    assert not isinstance(beat_objective(75.0, "v2", "peaks"), TwoClassBeatObjective)
    with pytest.raises(ValueError, match="v1_softmax have no downbeats. Give --beat-labels v1, v2 or none"):
        beat_objective(75.0, "v1_softmax", "peaks", "downbeat")


def test_frames_of_a_model_of_another_rate_are_labelled_at_their_times():
    clip = Clip("a", "", {"beat": [0.1, 0.5], "downbeat": [0.5]})
    for rate_hz, marked in ((75.0, [8, 38]), (50.0, [5, 25])):
        targets = beat_objective(rate_hz, "v1", "peaks").encode_frames([clip], [60], training=False)
        assert targets[:, 0].nonzero()[:, 0].tolist() == marked
        found = beat_objective(rate_hz, "v1", "peaks")
        assert found.network.rate_hz == found.bar_network.rate_hz == rate_hz
