"""The quickstart's synthesiser: seeded, in tune, not clipped, and varied."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parents[2] / "examples/quickstart"))

import compose
import instruments
import synthesise


def strongest_hz(wave: np.ndarray) -> float:
    """Frequency of the largest bin of the Hann-windowed spectrum."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(spectrum.argmax() * instruments.SAMPLE_RATE / len(wave))


def composed(style: compose.Style, seconds: float, seed: int) -> list[compose.Note]:
    rng = np.random.default_rng(seed)
    return compose.compose(compose.draw_piece(style, seconds, rng), seconds, rng)


def fundamental_hz(wave: np.ndarray, lowest_hz: float, highest_hz: float) -> float:
    """Period of the strongest autocorrelation within the range, as a frequency."""
    spectrum = np.fft.rfft(wave, 2 * len(wave))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)
    first, last = (int(instruments.SAMPLE_RATE / hz) for hz in (highest_hz, lowest_hz))
    return instruments.SAMPLE_RATE / (first + int(correlation[first : last + 1].argmax()))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others(tmp_path):
    first, again, other = (
        [path.read_bytes() for path in synthesise.write_discs(tmp_path / name, tracks=7, seconds=1.0, seed=seed)]
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))
    assert len(set(first)) == 7


def test_tracks_are_24_khz_mono_16_bit_of_the_length_asked_for(tmp_path):
    path = synthesise.write_discs(tmp_path, tracks=1, seconds=1.5, seed=0)[0]
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.frames, info.subtype) == (24_000, 1, 36_000, "PCM_16")


def test_every_disc_has_each_style_once(tmp_path):
    paths = synthesise.write_discs(tmp_path, tracks=12, seconds=0.1, seed=0)
    assert len(set(paths)) == 12
    for disc in ("disc_01", "disc_02"):
        assert {p.stem for p in paths if p.parent.name == disc} == {style.name for style in compose.STYLES}


@pytest.mark.parametrize("style", compose.STYLES, ids=lambda style: style.name)
def test_no_track_clips_and_none_is_faint(style):
    wave = synthesise.track(style, seconds=3.0, seed=0, number=0)[1] / 32767
    assert np.abs(wave).max() == pytest.approx(synthesise.PEAK, abs=1e-4)
    assert 0.05 < wave.std() < 0.5


@pytest.mark.parametrize("name", sorted(instruments.PITCHED))
def test_an_instrument_plays_the_note_it_is_asked_for(name):
    wave = instruments.PITCHED[name](220.0, 1.0, np.random.default_rng(0))
    if name == "bell":  # inharmonic partials: only the carrier is at the note
        assert strongest_hz(wave) == pytest.approx(220.0, abs=1.5)
    else:
        assert fundamental_hz(wave, 80, 600) == pytest.approx(220.0, rel=0.01)
    assert np.abs(wave).max() < 2.0
    assert abs(wave[0]) < 0.01
    assert abs(wave[-1]) < 0.01


def test_equal_temperament_and_scale_degrees():
    assert compose.midi_to_hz(69) == 440.0
    assert compose.midi_to_hz(57) == pytest.approx(220.0)
    assert [compose.scale_pitch(60, "major", degree) for degree in (-1, 0, 2, 7)] == [59, 60, 64, 72]
    assert compose.scale_pitch(60, "minor", 2) == 63


@pytest.mark.parametrize("style", compose.STYLES, ids=lambda style: style.name)
def test_pitched_notes_stay_in_one_key_and_several_sound_at_once(style):
    notes = composed(style, 10.0, seed=1)
    classes = {
        round(69 + 12 * np.log2(note.frequency_hz / 440)) % 12
        for note in notes
        if note.instrument in instruments.PITCHED
    }
    fits = [{(tonic + step) % 12 for step in compose.SCALES[style.mode]} >= classes for tonic in range(12)]
    assert any(fits)
    sounding = [sum(n.start_seconds <= t < n.start_seconds + n.seconds for n in notes) for t in np.arange(0.05, 9, 0.1)]
    assert max(sounding) >= 2


def test_styles_differ_in_instruments_and_their_pieces_in_key_or_tempo():
    bands = {frozenset(n.instrument for n in composed(s, 5.0, seed=0)) for s in compose.STYLES}
    assert len(bands) == len(compose.STYLES)
    steps = {tuple(composed(compose.STYLES[2], 5.0, seed)[:4]) for seed in range(6)}
    assert len(steps) == 6


def test_the_chords_file_names_the_root_of_each_bar(tmp_path):
    style = compose.STYLES[1]
    piece = compose.Piece(style, tonic=50, progression=(0, 3, 4), step_seconds=0.125, bars=4)  # D minor
    assert piece.bar_seconds == 2.0
    assert piece.roots == [2, 7, 9, 2]  # D, G, A, D
    bass = [note for note in compose.compose(piece, 8.0, np.random.default_rng(0)) if note.instrument == "bass"]
    classes = [round(69 + 12 * np.log2(note.frequency_hz / 440)) % 12 for note in bass]
    assert classes == [2, 2, 7, 7, 9, 9, 2, 2]
    synthesise.write_discs(tmp_path, tracks=2, seconds=3.0, seed=0)
    rows = [json.loads(line) for line in (tmp_path / "chords.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == ["disc_01/strings.flac", "disc_01/guitar.flac"]
    assert all(0 <= row["tonic"] < 12 for row in rows)
    assert all(row["bar_seconds"] * len(row["roots"]) >= 3.0 for row in rows)


def test_silence_stays_silence():
    assert not synthesise.render([], 0.5, np.random.default_rng(0)).any()
