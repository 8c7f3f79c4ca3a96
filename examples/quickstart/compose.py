"""The quickstart's composer: a style and a seed in; the notes and chords of one short piece out.

Pieces follow a chord progression in a key, at a steady tempo, on a grid of sixteenths: an accompaniment, a bass, a
melody that walks along the scale, and drums. Styles differ in instruments, mode, tempo and density; the pieces of a
style in key, progression, tempo and tune.
"""

from typing import NamedTuple

import numpy as np

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}
PROGRESSIONS = ((0, 4, 5, 3), (0, 3, 4, 0), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 0, 4), (0, 2, 3, 4))  # scale degrees
DRUM_GRIDS = {  # sixteenths of a bar of four beats
    "rock": {"kick": (0, 8, 10), "snare": (4, 12), "hat": tuple(range(0, 16, 2))},
    "dance": {"kick": (0, 4, 8, 12), "snare": (4, 12), "hat": (2, 6, 10, 14)},
    "half": {"kick": (0, 6), "snare": (8,), "hat": tuple(range(0, 16, 4))},
}
DRUM_HZ = {"kick": 55.0, "snare": 190.0, "hat": 9000.0}
SIXTEENTHS_A_BAR = 16


class Note(NamedTuple):
    """One note: start and length in seconds, pitch in Hz, peak gain, and the instrument's name."""

    start_seconds: float
    seconds: float
    frequency_hz: float
    gain: float
    instrument: str


class Style(NamedTuple):
    """What all pieces of a style share. A part without an instrument (None) is silent."""

    name: str
    mode: str
    tempo_bpm: tuple[int, int]
    chords: str | None
    chord_steps: int  # sixteenths between two chord strokes; with ``broken``, between two notes of the chord
    broken: bool
    lead: str | None
    lead_steps: tuple[int, ...]  # lengths in sixteenths that the melody draws from
    bass: str | None
    drums: str | None


STYLES = (
    Style("strings", "major", (66, 84), "pad", 16, False, "reed", (4, 4, 8), None, None),
    Style("guitar", "minor", (84, 104), "pluck", 2, True, None, (), "bass", None),
    Style("band", "mixolydian", (100, 120), "organ", 8, False, "pluck", (2, 2, 4), "bass", "rock"),
    Style("bells", "major", (72, 92), None, 4, False, "bell", (2, 4, 4), "pad", None),
    Style("dance", "dorian", (116, 128), "electric_piano", 4, False, "organ", (2, 2, 4), "bass", "dance"),
    Style("slow", "minor", (60, 76), "electric_piano", 4, True, "bell", (4, 8), "bass", "half"),
)


def midi_to_hz(pitch: float) -> float:
    """Equal temperament, A4 = note 69 = 440 Hz."""
    return 440.0 * 2 ** ((pitch - 69) / 12)


def scale_pitch(tonic: int, mode: str, degree: int) -> int:
    """MIDI pitch of a scale degree counted from the tonic; degrees below 0 and above 6 are in other octaves."""
    octave, step = divmod(degree, 7)
    return tonic + 12 * octave + SCALES[mode][step]


class Piece(NamedTuple):
    """What is drawn once for a track: style, MIDI tonic between C3 and B3, progression, seconds a sixteenth, bars."""

    style: Style
    tonic: int
    progression: tuple[int, ...]
    step_seconds: float
    bars: int

    def note(self, step: float, steps: float, pitch: int, gain: float, instrument: str) -> Note:
        """The note at grid position ``step`` that lasts ``steps`` sixteenths."""
        return Note(step * self.step_seconds, steps * self.step_seconds, midi_to_hz(pitch), gain, instrument)

    def chord(self, bar: int) -> int:
        """Scale degree of the bar's chord."""
        return self.progression[bar % len(self.progression)]

    @property
    def bar_seconds(self) -> float:
        """Length of a bar."""
        return self.step_seconds * SIXTEENTHS_A_BAR

    @property
    def roots(self) -> list[int]:
        """Pitch class of each bar's chord: 0 is C, 11 is B."""
        return [scale_pitch(self.tonic, self.style.mode, self.chord(bar)) % 12 for bar in range(self.bars)]


def draw_piece(style: Style, seconds: float, rng: np.random.Generator) -> Piece:
    """Draw key, progression and tempo of a piece that fills ``seconds``."""
    tempo = int(rng.integers(style.tempo_bpm[0], style.tempo_bpm[1] + 1))
    step_seconds = 60 / tempo / 4
    return Piece(
        style=style,
        tonic=48 + int(rng.integers(12)),
        progression=PROGRESSIONS[rng.integers(len(PROGRESSIONS))],
        step_seconds=step_seconds,
        bars=int(np.ceil(seconds / (step_seconds * SIXTEENTHS_A_BAR))),
    )


def compose(piece: Piece, seconds: float, rng: np.random.Generator) -> list[Note]:
    """The notes of all parts, ordered by start; the last ones may reach past ``seconds``."""
    notes = [*_chords(piece), *_bass(piece), *_melody(piece, rng), *_drums(piece)]
    return sorted(note for note in notes if note.start_seconds < seconds)


def _chords(piece: Piece) -> list[Note]:
    """Triads, struck together or broken into their notes, an octave apart from the bass."""
    style, notes = piece.style, []
    if style.chords is None:
        return notes
    for bar in range(piece.bars):
        triad = [scale_pitch(piece.tonic, style.mode, piece.chord(bar) + offset) for offset in (0, 2, 4, 7)]
        for stroke, step in enumerate(range(0, SIXTEENTHS_A_BAR, style.chord_steps)):
            at = bar * SIXTEENTHS_A_BAR + step
            if style.broken:
                notes.append(
                    piece.note(at, style.chord_steps * 2, triad[(0, 1, 2, 3, 2, 1)[stroke % 6]], 0.3, style.chords)
                )
            else:
                notes.extend(piece.note(at, style.chord_steps, pitch, 0.17, style.chords) for pitch in triad[:3])
    return notes


def _bass(piece: Piece) -> list[Note]:
    """The chord's root, twice a bar; held through it where the bass part is a pad."""
    style, notes = piece.style, []
    if style.bass is None:
        return notes
    held = style.bass == "pad"
    for bar in range(piece.bars):
        root = scale_pitch(piece.tonic - 12, style.mode, piece.chord(bar))
        for step in (0,) if held else (0, 8):
            steps = SIXTEENTHS_A_BAR if held else 7
            notes.append(piece.note(bar * SIXTEENTHS_A_BAR + step, steps, root, 0.35, style.bass))
    return notes


def _melody(piece: Piece, rng: np.random.Generator) -> list[Note]:
    """A walk along the scale an octave above the chords, drawn to a chord note on every bar's first beat.

    Two bars are drawn and then alternate, transposed with the chord: tunes repeat themselves.
    """
    style, notes = piece.style, []
    if style.lead is None:
        return notes
    phrases = [_phrase(style.lead_steps, rng) for _ in range(2)]
    for bar in range(piece.bars):
        step = 0
        for steps, offset in phrases[bar % 2]:
            pitch = scale_pitch(piece.tonic + 12, style.mode, piece.chord(bar) % 7 + offset)
            notes.append(piece.note(bar * SIXTEENTHS_A_BAR + step, steps, pitch, 0.3, style.lead))
            step += steps
    return notes


def _phrase(lengths: tuple[int, ...], rng: np.random.Generator) -> list[tuple[int, int]]:
    """One bar of melody: (sixteenths, scale steps from the chord's root) of each note."""
    phrase, filled, offset = [], 0, int(rng.choice([0, 2, 4]))
    while filled < SIXTEENTHS_A_BAR:
        steps = min(int(rng.choice(lengths)), SIXTEENTHS_A_BAR - filled)
        phrase.append((steps, offset))
        offset = int(np.clip(offset + rng.choice([-2, -1, -1, 1, 1, 2]), -3, 7))
        filled += steps
    return phrase


def _drums(piece: Piece) -> list[Note]:
    """The style's drum pattern in every bar; a hit lasts 0.25 s whatever the tempo."""
    if piece.style.drums is None:
        return []
    return [
        Note((bar * SIXTEENTHS_A_BAR + step) * piece.step_seconds, 0.25, DRUM_HZ[drum], 0.45, drum)
        for bar in range(piece.bars)
        for drum, steps in DRUM_GRIDS[piece.style.drums].items()
        for step in steps
    ]
