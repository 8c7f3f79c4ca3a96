"""Pieces as notes, beats and labels: as written, in quarter notes, and as played, in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

PITCH_CLASSES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
SOUNDING = 0.97  # of a note's written length


class Note(NamedTuple):
    """A note as played: seconds, MIDI pitch, velocity from 1 to 127, and the part that plays it."""

    start: float
    end: float
    pitch: int
    velocity: int
    part: int


class ScoreNote(NamedTuple):
    """A note as written: start and length in quarter notes, MIDI pitch, part."""

    start: float
    quarters: float
    pitch: int
    part: int


@dataclass(frozen=True)
class Piece:
    """A score.

    Attributes:
        name: unique in its set.
        work: what must be in one split, such as all movements of a quartet.
        notes: in order of parts.
        beats, downbeats: in quarter notes.
        label: the class that the set is about: a key such as "C major", a dance, a composer.
    """

    name: str
    work: str
    notes: list[ScoreNote]
    beats: list[float]
    downbeats: list[float]
    label: str

    def played(self, bpm: float, semitones: int, velocities: Sequence[int]) -> list[Note]:
        """The notes in seconds, transposed, with a velocity for each part."""
        quarter = 60.0 / bpm
        return [
            Note(
                note.start * quarter,
                (note.start + max(note.quarters, 0.125) * SOUNDING) * quarter,
                note.pitch + semitones,
                velocities[note.part],
                note.part,
            )
            for note in self.notes
        ]
