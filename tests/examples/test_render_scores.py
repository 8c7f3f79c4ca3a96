"""Rendered scores: the rule of chords, instruments and splits, metre, and what the synthesiser plays."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parents[2] / "examples/ablation"))

import chords
import plans
import programs
import render
import synthesiser
from pieces import Note, Piece, ScoreNote


def sounding(*pitches: int, start: float = 0.0, end: float = 1.0) -> list[Note]:
    return [Note(start, end, pitch, 90, 0) for pitch in pitches]


@pytest.mark.parametrize(
    ("pitches", "chord"),
    [
        ((48, 64, 67, 72), "C major"),
        ((52, 60, 67), "C major"),  # first inversion
        ((57, 60, 64), "A minor"),
        ((48, 55, 60), None),  # no third
        ((43, 59, 62, 65), "G major"),  # a dominant seventh: three of four tones
        ((45, 60, 64, 67), "A minor"),  # A C E G is two triads; the bass decides
        ((48, 57, 64, 67), "C major"),
        ((52, 57, 60, 67), None),
        ((59, 62, 65), None),  # diminished
        ((), None),
    ],
)
def test_the_chord_is_the_triad_whose_tones_all_sound_and_cover_most_of_the_time(pitches, chord):
    assert chords.chord_of(sounding(*pitches), 0.0, 1.0) == chord


def test_a_short_passing_note_does_not_change_the_chord_and_a_long_one_does():
    triad = sounding(48, 52, 55)
    assert chords.chord_of([*triad, *sounding(62, end=0.5)], 0.0, 1.0) == "C major"  # 3 of 3.5
    assert chords.chord_of([*triad, *sounding(62, 65)], 0.0, 1.0) is None  # 3 of 5
    # only what sounds between the two times counts
    assert chords.chord_of([*triad, *sounding(62, 65, start=1.0, end=2.0)], 0.0, 1.0) == "C major"


def test_equal_neighbours_are_one_chord_and_gaps_are_left_out():
    notes = [*sounding(48, 52, 55, end=2.0), *sounding(57, 60, 64, start=3.0, end=4.0)]
    assert chords.chords_between(notes, [0.0, 1.0, 2.0, 3.0, 4.0]) == [(0.0, 2.0, "C major"), (3.0, 4.0, "A minor")]


def test_no_program_is_in_two_splits_and_every_family_is_learnt_chosen_and_tested():
    for family, numbers in programs.FAMILIES.items():
        splits = [programs.split_of_program(number) for number in numbers]
        assert {"train", "valid", "test"} == set(splits), family
        assert splits.count("train") >= 2
    used = [set(programs.programs_for(split)) for split in ("train", "valid", "test")]
    assert not (used[0] & used[1] | used[0] & used[2] | used[1] & used[2])
    assert min(map(len, used)) >= 10


def test_about_two_works_of_ten_are_for_test_and_one_for_validation():
    splits = [plans.split_of(f"piece {number}") for number in range(3000)]
    assert 540 < splits.count("test") < 660
    assert 250 < splits.count("valid") < 350


def waltz() -> Piece:
    """Two bars of three quarters: C major, then A minor."""
    bars = [(0, (48, 64, 67)), (3, (57, 60, 64))]
    notes = [ScoreNote(start, 3.0, pitch, part) for start, bar in bars for part, pitch in enumerate(bar)]
    return Piece("waltz", "waltz", notes, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 3.0], "C major")


def test_labels_follow_the_key_and_the_tempo_that_chance_says():
    plan = plans.plan_piece(waltz(), "key", 0, 0, 60.0)
    quarter, tonic = 60 / plan.labels["bpm"], plan.labels["semitones"] % 12
    assert 60 <= plan.labels["bpm"] <= 120
    assert plan.labels["beats"] == [round(beat * quarter, 4) for beat in range(6)]
    assert plan.labels["downbeats"] == [0.0, round(3 * quarter, 4)]
    names = plans.PITCH_CLASSES
    assert plan.labels["key"] == f"{names[tonic]} major"
    assert [chord for *_, chord in plan.labels["chords"]] == [
        f"{names[tonic]} major",
        f"{names[(9 + tonic) % 12]} minor",
    ]
    assert plan.labels["chords"][0][1] == plan.labels["chords"][1][0] == pytest.approx(3 * quarter, abs=1e-4)
    assert set(plan.programs.values()) <= set(programs.programs_for(plan.labels["split"]))
    assert plans.plan_piece(waltz(), "key", 0, 0, 60.0) == plan
    assert plans.plan_piece(waltz(), "key", 1, 0, 60.0) != plan


def test_a_shifted_copy_differs_in_key_alone():
    plain, shifted = (plans.plan_piece(waltz(), "key", 0, 0, 60.0, shift) for shift in (0, 4))
    assert (shifted.labels["semitones"] - plain.labels["semitones"]) % 12 == 4
    assert shifted.labels["key"] != plain.labels["key"]
    for same in ("beats", "downbeats", "bpm", "programs", "split", "piece"):
        assert shifted.labels[same] == plain.labels[same]
    assert shifted.programs == plain.programs


def test_clips_are_cut_and_labels_beyond_the_cut_are_dropped():
    plan = plans.plan_piece(waltz(), "dance", 0, 0, 1.5)
    assert plan.seconds == 2.5
    assert max(plan.labels["beats"]) < 1.5
    assert plan.labels["dance"] == "C major"
    assert "chords" not in plan.labels


def test_notes_of_test_are_of_programs_that_training_never_hears():
    found = [plan for plan, _ in plans.plan_notes(400, seed=0)]
    heard = {split: {p.labels["program"] for p in found if p.labels["split"] == split} for split in ("train", "test")}
    assert not heard["train"] & heard["test"]
    assert {p.labels["family"] for p in found if p.labels["split"] == "test"} == set(programs.FAMILIES)
    assert all((shifted is not None) == (plan.labels["split"] == "test") for plan, shifted in plans.plan_notes(50, 0))
    assert len({plan.name for plan in found}) == len(found)


def test_noise_is_at_the_stated_ratio_and_every_clip_at_the_stated_level():
    wave = synthesiser.at_level(np.sin(np.arange(24_000) / 9).astype(np.float32) * 0.01)
    assert 20 * np.log10(np.sqrt(np.mean(wave**2))) == pytest.approx(-20, abs=1e-3)
    click = np.zeros(24_000, np.float32)
    click[5] = 0.5
    assert np.abs(synthesiser.at_level(click)).max() == pytest.approx(0.98)
    assert not synthesiser.at_level(np.zeros(9, np.float32)).any()
    noisy = synthesiser.with_noise(wave, 20.0, np.random.default_rng(0))
    scale = float(noisy @ wave / (wave @ wave))
    assert 10 * np.log10(np.mean((scale * wave) ** 2) / np.mean((noisy - scale * wave) ** 2)) == pytest.approx(
        20, abs=0.2
    )


def test_what_is_missing_is_named_with_its_remedy(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "music21", None)
    assert render.main([str(tmp_path)]) == 1
    assert "pip install 'mert_fairseq[scores]'" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match="no.sf2: no soundfont. Install one .apt-get install"):
        synthesiser.find_soundfont(tmp_path / "no.sf2")


# with music21 and FluidSynth


def test_bars_with_a_pickup_and_a_bar_that_a_repeat_divides():
    pytest.importorskip("music21")
    import scores
    from music21 import meter, note, stream

    part = stream.Part()
    # 3/4: a pickup of one quarter, a whole bar, a bar in two measures (2 + 1), a whole bar
    for number, quarters in enumerate((1, 3, 2, 1, 3)):
        measure = stream.Measure(number=number)
        if number == 0:
            measure.append(meter.TimeSignature("3/4"))
        measure.append([note.Note("C4", quarterLength=1.0) for _ in range(quarters)])
        part.append(measure)
    score = stream.Score([part])
    beats, downbeats = scores.read_metre(score)
    assert beats == [float(beat) for beat in range(10)]
    assert downbeats == [1.0, 4.0, 7.0]
    assert len(scores.read_notes(score)) == 10


def test_in_six_eight_a_beat_is_a_dotted_quarter():
    pytest.importorskip("music21")
    import scores
    from music21 import converter

    score = converter.parse("X:1\nT:t\nM:6/8\nL:1/8\nK:G\nGAB c2d|efg a3|", format="abc")
    beats, downbeats = scores.read_metre(score)
    assert beats == [0.0, 1.5, 3.0, 4.5]
    assert downbeats == [0.0, 3.0]


@pytest.fixture(scope="module")
def synth():
    pytest.importorskip("fluidsynth")
    try:
        return synthesiser.Synthesiser(synthesiser.find_soundfont())
    except FileNotFoundError as error:
        pytest.skip(str(error))


def test_a_note_has_its_pitch_and_begins_at_its_time(synth):
    wave = synth.render([Note(0.5, 1.5, 69, 100, 0)], 2.0, {0: 73})  # a flute's A
    assert len(wave) == 48_000
    spectrum = np.abs(np.fft.rfft(wave[24_000:36_000] * np.hanning(12_000)))
    assert spectrum.argmax() * 2 == pytest.approx(440, abs=3)
    loud = np.abs(wave) > 0.05 * np.abs(wave).max()
    assert 0.49 < loud.argmax() / 24_000 < 0.56


def test_a_clip_does_not_hear_the_one_before(synth):
    alone = synth.render([Note(0.5, 1.0, 60, 100, 0)], 1.0, {0: 0})
    synth.render([Note(0.0, 1.0, 40, 127, 0)], 1.0, {0: 48})
    after = synth.render([Note(0.5, 1.0, 60, 100, 0)], 1.0, {0: 0})
    assert np.abs(alone - after).max() < 5e-3
    assert np.abs(after[:12_000]).max() < 5e-3


def test_the_same_command_writes_the_same_bytes_and_a_finished_folder_stays(tmp_path):
    pytest.importorskip("music21")
    pytest.importorskip("fluidsynth")
    for name in ("a", "b"):
        command = [sys.executable, render.__file__, tmp_path / name, "--sets", "notes", "--notes", "30"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "no soundfont" in done.stderr:
            pytest.skip(done.stderr)
        assert done.returncode == 0, done.stderr
    files = sorted(path.name for path in (tmp_path / "a/notes").iterdir())
    assert all(
        (tmp_path / "a/notes" / name).read_bytes() == (tmp_path / "b/notes" / name).read_bytes() for name in files
    )
    rows = [json.loads(line) for line in (tmp_path / "a/notes/manifest.jsonl").read_text().splitlines()]
    assert {row["path"] for row in rows} | {"manifest.jsonl"} == set(files)
    copies = [row for row in rows if "copy" in row]
    assert {row["copy"] for row in copies} == {"noise_20db", "shifted"}
    assert all(row["of"] in files and row["split"] == "test" for row in copies)
    assert soundfile.info(tmp_path / "a/notes" / rows[0]["path"]).samplerate == 24_000
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "not rendered again" in again.stdout
