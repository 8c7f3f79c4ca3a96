"""Render music21's scores with FluidSynth into labelled clips for probes.

    pip install 'mert_fairseq[scores]'; apt-get install fluidsynth fluid-soundfont-gm
    python examples/ablation/render.py rendered

Four folders, each with WAV files (24 kHz, mono, 16 bit) and manifest.jsonl, a JSON object per clip:

    key       Bach's chorales in balanced keys: key, beats, downbeats, chords
    dance     tunes of fiddle books: dance, beats, downbeats
    composer  scores of seven composers: composer, beats, downbeats
    notes     single notes: pitch, family (of the instrument), program, velocity

Splits go by piece. Instruments and tempo change with every clip, and test and validation use instruments that training
does not. Each test clip has two changed copies: with noise, and rendered again in another key. The same command writes
the same bytes; a folder that has its manifest is not rendered again."""

import argparse
import hashlib
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from chords import PITCH_CLASSES, Note, chords_between
from instruments import FAMILIES, Split, programs_for, split_of_program

SNR_DB = 20.0
SETS = ("key", "dance", "composer", "notes")
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


def split_of(piece: str) -> Split:
    """Of ten pieces, about one is for test and one for validation, by the SHA-1 of the name."""
    return {0: "test", 1: "valid"}.get(number_of(piece) % 10, "train")  # type: ignore[return-value]


def plan_piece(piece: Any, folder: str, copy: int, seed: int, seconds: float, shift: int = 0) -> Plan:
    """How a piece is played: key, tempo and instruments by chance, which depends on its name, copy and seed alone.

    Args:
        piece: a :class:`scores.Piece`.
        folder: of its set.
        copy: number of the rendering of this piece.
        seed: of the whole command.
        seconds: at most.
        shift: semitones above the key that chance says; for changed copies.
    """
    chance, split = random.Random(number_of(folder, piece.name, copy, seed)), split_of(piece.name)
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
    labels: dict[str, Any] = {"piece": piece.name, "split": split, "bpm": bpm, "semitones": semitones}
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
    import scores

    read: dict[str, Callable[[], Iterator[Any]]]
    read = {"key": scores.chorales, "dance": scores.dances, "composer": scores.composers}
    seen, taken = set(), Counter[str]()
    for piece in sorted(read[folder](), key=lambda piece: number_of(piece.name)):
        group = "" if folder == "key" else piece.label
        if piece.name in seen or taken[group] == pieces:
            continue
        seen.add(piece.name)
        taken[group] += 1
        for copy in range(copies):
            plan = plan_piece(piece, folder, copy, seed, seconds)
            shift = 1 + number_of(piece.name, copy, "shift") % 11
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


def render_set(folder: Path, plans: Iterator[tuple[Plan, Plan | None]], synthesiser: Any) -> None:
    """Render the clips of a set, and write the manifest last."""
    import soundfile
    from synthesiser import SAMPLE_RATE, with_noise

    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []

    def write(name: str, wave: np.ndarray, labels: dict[str, Any]) -> None:
        soundfile.write(folder / f"{name}.wav", wave, SAMPLE_RATE, subtype="PCM_16")
        rows.append({"path": f"{name}.wav", "duration": round(len(wave) / SAMPLE_RATE, 3), **labels})

    for plan, shifted in plans:
        wave = synthesiser.render(plan.notes, plan.seconds, plan.programs)
        if np.abs(wave).max() < 1e-3:
            print(f"left out: {plan.name}: silent, its program has no sound at this pitch", file=sys.stderr)
            continue
        write(plan.name, wave, plan.labels)
        if shifted:
            original = {"of": f"{plan.name}.wav"}
            noise = with_noise(wave, SNR_DB, np.random.default_rng(number_of(plan.name) % 2**32))
            write(f"{plan.name}_noise", noise, plan.labels | original | {"copy": f"noise_{SNR_DB:g}db"})
            again = synthesiser.render(shifted.notes, shifted.seconds, shifted.programs)
            write(f"{plan.name}_shifted", again, shifted.labels | original | {"copy": "shifted"})
    partial = folder / "manifest.jsonl.partial"
    partial.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    partial.rename(folder / "manifest.jsonl")
    splits = Counter(row["split"] for row in rows if "copy" not in row)
    print(f"{folder}: {len(rows)} clips, {sum(row['duration'] for row in rows) / 60:.0f} minutes; {dict(splits)}")


def main(arguments: list[str] | None = None) -> int:
    """Render the sets that are not there; returns 1 if something is missing."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("out", type=Path, help="folder of the sets")
    options.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    options.add_argument("--pieces", type=int, default=150, help="of each class; chorales: twice as many")
    options.add_argument("--copies", type=int, default=1, help="renderings of each piece")
    options.add_argument("--notes", type=int, default=2000)
    options.add_argument("--seconds", type=float, default=20.0, help="at most, of a piece")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--soundfont", type=Path, help="General MIDI, .sf2")
    chosen = options.parse_args(arguments)
    try:
        import music21  # noqa: F401
        from synthesiser import Synthesiser, find_soundfont

        synthesiser = Synthesiser(find_soundfont(chosen.soundfont))
    except ImportError as error:
        print(f"render.py: {error}. {REMEDY}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"render.py: {error}", file=sys.stderr)
        return 1
    for folder in chosen.sets:
        if (chosen.out / folder / "manifest.jsonl").is_file():
            print(f"{chosen.out / folder}: has its manifest, not rendered again")
            continue
        pieces = chosen.pieces * (2 if folder == "key" else 1)
        plans = (
            plan_notes(chosen.notes, chosen.seed)
            if folder == "notes"
            else plan_pieces(folder, pieces, chosen.copies, chosen.seed, chosen.seconds)
        )
        render_set(chosen.out / folder, plans, synthesiser)
    return 0


REMEDY = (
    "Install music21 and pyfluidsynth (pip install 'mert_fairseq[scores]'), and FluidSynth's library with a soundfont "
    "(apt-get install fluidsynth fluid-soundfont-gm)."
)

if __name__ == "__main__":
    sys.exit(main())
