"""What is rendered: for each clip the notes, the instruments and the labels, decided by names and a seed alone."""

import hashlib
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from chords import chords_between
from pieces import PITCH_CLASSES, Note, Piece
from programs import FAMILIES, Split, programs_for, split_of_program

BPM = (60, 120)  # quarter notes a minute; the same for all classes, so that tempo does not tell them
TAIL_SECONDS = 1.0  # in which the last notes die away
NOTE_SECONDS, NOTE_HELD_SECONDS = 4.0, 3.0  # as NSynth's
LOWEST, HIGHEST = 28, 100  # MIDI pitches of a piece


class Plan(NamedTuple):
    """A clip to be rendered: its file, what is played by which programs, and the labels of the manifest's line."""

    name: str
    notes: list[Note]
    seconds: float
    programs: dict[int, int]
    labels: dict[str, Any]


def number_of(*words: object) -> int:
    """A large number that depends on the words alone."""
    return int(hashlib.sha1("/".join(map(str, words)).encode(), usedforsecurity=False).hexdigest(), 16)


def split_of(work: str) -> Split:
    """Of ten works, about two are for test and one for validation, by the SHA-1 of the name."""
    digits: dict[int, Split] = {0: "test", 1: "test", 2: "valid"}
    return digits.get(number_of(work) % 10, "train")


def plan_piece(piece: Piece, folder: str, copy: int, seed: int, seconds: float, shift: int = 0) -> Plan:
    """How a piece is played: key, tempo and instruments by chance, which depends on its name, copy and seed alone.

    Args:
        piece: the score.
        folder: of its set.
        copy: number of the rendering of this piece.
        seed: of the whole command.
        seconds: at most.
        shift: semitones above the key that chance says; for changed copies.
    """
    chance, split = random.Random(number_of(folder, piece.name, copy, seed)), split_of(piece.work)
    bpm = chance.randint(*BPM)
    parts = sorted({note.part for note in piece.notes})
    programs = {part: chance.choice(programs_for(split)) for part in parts}
    velocities = [chance.randint(75, 105) for _ in range(max(parts) + 1)]
    semitones = chance.randint(-5, 6)
    pitches = [note.pitch for note in piece.notes]
    semitones = _within(semitones + shift, min(pitches), max(pitches))
    quarter = 60.0 / bpm
    notes = piece.played(bpm, semitones, velocities)
    end = min(seconds, max(note.end for note in notes))
    beats = [round(beat * quarter, 4) for beat in piece.beats if beat * quarter < end]
    labels: dict[str, Any] = {"piece": piece.work, "split": split, "bpm": bpm, "semitones": semitones}
    labels |= {"programs": list(programs.values()), "beats": beats}
    labels["downbeats"] = [round(beat * quarter, 4) for beat in piece.downbeats if beat * quarter < end]
    if folder == "key":
        tonic, mode = piece.label.split()
        labels["key"] = f"{PITCH_CLASSES[(PITCH_CLASSES.index(tonic) + semitones) % 12]} {mode}"
        labels["chords"] = chords_between(notes, sorted({0.0, *beats, round(end, 4)}))
    else:
        labels[folder] = piece.label
    return Plan(f"{number_of(piece.name) % 16**8:08x}_{copy}", notes, end + TAIL_SECONDS, programs, labels)


def _within(semitones: int, lowest: int, highest: int) -> int:
    """The transposition by octaves nearer to the range that instruments can play."""
    while highest + semitones > HIGHEST and lowest + semitones - 12 >= LOWEST:
        semitones -= 12
    while lowest + semitones < LOWEST and highest + semitones + 12 <= HIGHEST:
        semitones += 12
    return semitones


def plan_pieces(folder: str, pieces: int, copies: int, seed: int, seconds: float) -> Iterator[tuple[Plan, Plan | None]]:
    """Clips of a set, each with the plan of its shifted copy if it is of the test split.

    Of each class (of all chorales together), the pieces whose names have the smallest SHA-1 are taken.
    """
    import scores  # needs music21

    lists = {"key": scores.chorales, "dance": scores.dances, "composer": scores.composers}
    seen, taken = set(), Counter[str]()
    for name, group, read in sorted(lists[folder](), key=lambda listed: number_of(listed.name)):
        if name in seen or taken[group] == pieces or not (piece := read()):
            continue
        seen.add(name)
        taken[group] += 1
        for copy in range(copies):
            plan = plan_piece(piece, folder, copy, seed, seconds)
            shift = 1 + number_of(name, copy, "shift") % 11
            is_test = plan.labels["split"] == "test"
            yield plan, plan_piece(piece, folder, copy, seed, seconds, shift) if is_test else None


def plan_notes(notes: int, seed: int) -> Iterator[tuple[Plan, Plan | None]]:
    """Single notes of all families in turn, pitches and velocities by chance; splits go by program."""
    chance = random.Random(number_of("notes", seed))
    pairs = [(family, program) for family, programs in FAMILIES.items() for program in programs]
    seen = set()
    for number in range(notes):
        family, program = pairs[number % len(pairs)]
        pitch, velocity = chance.randint(36, 84), chance.choice((50, 75, 100, 127))
        if (program, pitch, velocity) in seen:
            continue
        seen.add((program, pitch, velocity))
        labels = {"family": family, "program": program, "velocity": velocity, "split": split_of_program(program)}
        shifted = pitch + (5 if pitch < 60 else -5)
        plans = [
            Plan(
                f"p{program:03d}_n{pitch:03d}_v{velocity:03d}",
                [Note(0.0, NOTE_HELD_SECONDS, each, velocity, 0)],
                NOTE_SECONDS,
                {0: program},
                {**labels, "pitch": each},
            )
            for each in (pitch, shifted)
        ]
        yield plans[0], plans[1] if labels["split"] == "test" else None
