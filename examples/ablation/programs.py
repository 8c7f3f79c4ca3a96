"""Programs of General MIDI by instrument family, and which of them training, validation and test may use."""

from typing import Literal

Split = Literal["train", "valid", "test"]

# The families of NSynth; programs count from 0. Effects, drums and the sounds of ensembles that die away are left out.
FAMILIES: dict[str, list[int]] = {
    "keyboard": list(range(0, 8)),
    "mallet": list(range(8, 16)),
    "organ": list(range(16, 24)),
    "guitar": list(range(24, 32)),
    "bass": list(range(32, 40)),
    "string": [*range(40, 47), *range(48, 52)],
    "vocal": [52, 53, 54, 85, 91],
    "brass": list(range(56, 64)),
    "reed": list(range(64, 72)),
    "flute": list(range(72, 80)),
    "synth_lead": [80, 81, 82, 83, 84, 86, 87],
}
FAMILY = {program: family for family, programs in FAMILIES.items() for program in programs}
# whole pieces: families that hold a note and sound well in every voice
PIECE_FAMILIES = ("keyboard", "organ", "guitar", "string", "vocal", "brass", "reed", "flute")
PIECE_LEFT_OUT = {31, 45}  # guitar harmonics and pizzicato: another pitch, or hardly any sound


def split_of_program(program: int) -> Split:
    """Of four programs of a family, in their order, the second is heard only in test, the fourth only in validation."""
    place = FAMILIES[FAMILY[program]].index(program) % 4
    return "test" if place == 1 else "valid" if place == 3 else "train"


def programs_for(split: Split) -> list[int]:
    """The programs that render whole pieces of a split; no other split uses them."""
    found = [program for family in PIECE_FAMILIES for program in FAMILIES[family]]
    return [program for program in found if program not in PIECE_LEFT_OUT and split_of_program(program) == split]
