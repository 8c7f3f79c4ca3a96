"""Manifests of rendered scores: changed copies, chords of frames, downbeats, equal terms, the quick protocol."""

import json
import shutil

import mir_eval
import numpy as np
import pytest
import torch
from probe_doubles import BandSource

from mert_fairseq.probing.cli import main, parser
from mert_fairseq.probing.objectives import BeatObjective, ChordObjective
from mert_fairseq.probing.objectives.chords import CHORDS
from mert_fairseq.probing.probe_data import Clip, sha1_number
from mert_fairseq.probing.report import write_reports
from mert_fairseq.probing.rows import Rows
from mert_fairseq.probing.run_probe import for_task, read_data, run_task, shortened
from mert_fairseq.probing.search.protocol import QUICK, Protocol
from mert_fairseq.probing.tasks import TASKS, find_task
from mert_fairseq.probing.verbs import protocol_of

SMALL = Protocol(hidden=16, learning_rates=(1e-2,), seeds=(1,), layers=(1,), batch_clips=8)


def probe(name, folder, out, source=None, epochs=25):
    task = find_task(name)
    data = read_data(task, folder, out)
    return run_task(task, data, source or BandSource(), for_task(SMALL, task, epochs), out, device="cpu", quiet=True)


def test_changed_copies_are_tested_and_neither_learnt_nor_chosen_by(tree, tmp_path):
    task, source = find_task("rendered-key"), BandSource()
    data = task.read(tree("key"))
    assert data.sizes == {"train": 6, "valid": 6, "test": 6}
    assert [clip.path for clip in data.copies["noise"]] == [f"noise_{number}.wav" for number in range(12, 18)]
    found = probe("rendered-key", tree("key"), tmp_path, source)
    assert source.clips == 24
    assert set(found["copies"]["noise"]) == set(task.metrics)
    shutil.copytree(tree("key"), tmp_path / "key")
    path = tmp_path / "key/manifest.jsonl"
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines() if '"copy"' not in line))
    alone = probe("rendered-key", tmp_path / "key", tmp_path / "alone")
    assert not alone["copies"]
    assert (alone["scores"], alone["by_layer"]) == (found["scores"], found["by_layer"])
    assert "Changed copies of the test clips" in write_reports(tmp_path, TASKS)[0].read_text()
    rows = (tmp_path / "results.csv").read_text().splitlines()
    assert any(row.startswith("rendered-key,bands,weighted_score on noise") for row in rows)


def test_a_copy_whose_sound_no_longer_has_the_label_scores_nothing(tree, tmp_path):
    shutil.copytree(tree("key"), tmp_path / "key")
    path = tmp_path / "key/manifest.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row | ({"key": "B minor"} if "copy" in row else {})) + "\n" for row in rows))
    found = probe("rendered-key", tmp_path / "key", tmp_path)
    assert found["scores"]["accuracy"]["mean"] >= 0.6
    assert found["copies"]["noise"]["accuracy"]["mean"] == 0.0


def test_fewer_clips_are_those_of_the_smallest_sha_1_with_their_copies(tree):
    data = find_task("rendered-key").read(tree("key"))
    few = data.limited(2)
    assert few.sizes == {"train": 2, "valid": 2, "test": 2}
    kept = {clip.id for clip in few.clips["test"]}
    assert kept == {clip.id for clip in sorted(data.clips["test"], key=lambda clip: sha1_number(clip.id))[:2]}
    assert {clip.unit for clip in few.copies["noise"]} == kept
    assert data.limited(99).clips == data.clips


def test_a_piece_in_two_splits_is_an_error(tree, tmp_path):
    text = (tree("key") / "manifest.jsonl").read_text().replace('"piece": "7"', '"piece": "0"')
    (tmp_path / "manifest.jsonl").write_text(text)
    with pytest.raises(ValueError, match="manifest.jsonl:8: found the piece 0 in the splits train and valid"):
        find_task("rendered-key").read(tmp_path)


def test_all_leaves_out_tasks_whose_labels_the_manifest_lacks(tmp_path):
    (tmp_path / "manifest.jsonl").write_text(json.dumps({"path": "a.wav", "split": "train", "key": "C major"}) + "\n")
    assert find_task("rendered-key").has_data(tmp_path)
    assert not find_task("rendered-chords").has_data(tmp_path)
    (tmp_path / "manifest.jsonl").write_text("{\n")  # wrong, and for read to say so
    assert find_task("rendered-chords").has_data(tmp_path)


def test_frames_show_the_chord_that_sounds_at_their_time_and_none_between():
    objective = ChordObjective(rate_hz=10.0)
    clip = Clip("a", "", [(0.0, 0.3, "C major"), (0.35, 0.6, "A minor")])
    found = [CHORDS[index] for index in objective.encode_frames([clip], [8], training=True)]
    assert found == ["C major"] * 3 + ["none"] + ["A minor"] * 2 + ["none"] * 2
    with pytest.raises(ValueError, match="b: found the chord 'H major', expected one of C major"):
        objective.encode_frames([Clip("b", "", [(0.0, 1.0, "H major")])], [8], training=True)


def test_the_share_of_right_frames_equals_mir_evals_weighted_accuracy():
    random = np.random.default_rng(0)
    true, outputs = torch.from_numpy(random.integers(25, size=300)), torch.from_numpy(random.random((300, 25)))
    outputs[::2] = outputs[::2].scatter(1, true[::2, None], 2.0)
    rows = Rows([torch.zeros(300, 1)], torch.tensor([300]), [Clip("a", "", [])], true, per_row=True)
    found = ChordObjective().score(outputs, rows)["accuracy"]
    assert 0.5 <= found < 0.6
    names = [name.replace(" major", ":maj").replace(" minor", ":min").replace("none", "N") for name in CHORDS]
    times = np.arange(301) / 75
    intervals = np.stack([times[:-1], times[1:]], 1)
    right = mir_eval.chord.majmin([names[index] for index in true], [names[index] for index in outputs.argmax(1)])
    assert found == pytest.approx(mir_eval.chord.weighted_accuracy(right, np.diff(intervals)[:, 0]), abs=1e-6)
    assert float(ChordObjective().monitor(outputs[None], rows)[0]) == pytest.approx(found, abs=1e-12)


def test_downbeats_are_chosen_by_downbeats():
    clip = Clip("a", "", {"beat": [0.4, 0.8, 1.2], "downbeat": [0.8]})
    objective = BeatObjective(75.0, monitor_by="peaks", chosen_for="downbeat")
    assert objective.monitor_name == "downbeat_f_peaks"
    targets = objective.encode_frames([clip], [120], training=False)
    rows = Rows([torch.zeros(120, 1)], torch.tensor([120]), [clip], targets, per_row=True)
    outputs = torch.full((1, 120, 2), -9.0)
    outputs[0, 60, 1] = 9.0  # the downbeat, and no beat
    assert float(objective.monitor(outputs, rows)[0]) == 1.0
    assert objective.score(outputs[0], rows, objective.tune(outputs[0], rows))["downbeat_f_peaks"] == 1.0
    assert objective.score(outputs[0], rows)["beat_f_peaks"] == 0.0


def test_chords_are_learnt_from_bands_that_tell_them(tree, tmp_path):
    # three quarters of a clip are its chord, the rest is none although it sounds alike
    found = probe("rendered-chords", tree("key"), tmp_path)
    assert found["scores"]["accuracy"]["mean"] > 0.6


def test_the_task_of_downbeats_runs_from_audio_to_report(tree, tmp_path):
    assert set(probe("rendered-downbeats", tree("key"), tmp_path, epochs=3)["scores"]) == {
        "downbeat_f_peaks", "downbeat_f",
    }  # fmt: skip


def test_models_are_described_and_standardised_as_baselines_are():
    task = find_task("rendered-dance")
    assert task.windows.statistics
    assert task.standardize
    wave = torch.randn(2, 24_000)
    frames = BandSource().frames(wave)
    expected = torch.cat([frames.mean(2), frames.std(2, correction=0)], 2)
    torch.testing.assert_close(BandSource().pooled(wave, statistics=True), expected)
    torch.testing.assert_close(BandSource().pooled(wave), frames.mean(2))


def test_the_quick_protocol_is_small_and_keeps_what_the_user_gives():
    quick = protocol_of(parser().parse_args(["x", "--protocol", "quick"]))
    assert quick == QUICK
    given = protocol_of(parser().parse_args(["x", "--protocol", "quick", "--seeds", "3", "--head", "mlp"]))
    assert (given.head, len(given.seeds), given.learning_rates) == ("mlp", 3, QUICK.learning_rates)
    assert for_task(quick, find_task("gtzan-genre")).max_epochs == QUICK.max_epochs
    assert not quick.is_published()


def test_a_task_on_the_first_seconds_is_not_published_and_the_task_stays_as_it_was(tree):
    task = find_task("emomusic")
    assert shortened(task, 2.0).windows.first_seconds == 2.0
    assert shortened(task, 99.0).windows.first_seconds == task.windows.first_seconds == 30.0
    assert not shortened(task, 2.0).is_published(task.read(tree("emomusic")))


def test_clips_and_seconds_are_options_of_a_run(tree, tmp_path, capsys):
    call = ["rendered-dance", "--model", "mfcc", "--data", str(tree("dance")), "--out", str(tmp_path), "--json"]
    assert main([*call, "--protocol", "quick", "--clips", "3", "--seconds", "0.5", "--quiet", "--device", "cpu"]) == 0
    found = json.loads(capsys.readouterr().out)["results"][0]
    assert found["sizes"] == {"train": 3, "valid": 3, "test": 3}
    assert found["protocol"]["name"] == "quick"
