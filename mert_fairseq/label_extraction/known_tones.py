"""What the CQT teacher makes of tones whose bins are known."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from mert_fairseq.reporting.figures import draw_spectrograms
from mert_fairseq.reporting.page import Page
from mert_fairseq.teachers.cqt import CQTTeacher

NOTE_SECONDS = 0.5
FLOOR_DB = -80.0
C4 = 60  # as MIDI numbers it
KNOWN_TONES: dict[str, Sequence[int]] = {
    "A4, 440 Hz": [69] * 8,
    "A in octaves, A1 to A7": [33, 45, 57, 69, 81, 93, 105],
    "C major scale from C4": [C4 + step for step in (0, 2, 4, 5, 7, 9, 11, 12)],
    "chromatic scale from C4": [C4 + step for step in range(13)],
}


def note_hz(note: int) -> float:
    """Frequency of a MIDI note in equal temperament, A4 at 440 Hz."""
    return 440.0 * 2 ** ((note - 69) / 12)


def notes_wave(notes: Sequence[int], sample_rate: int) -> torch.Tensor:
    """(1, samples) float32: sines of half a second, one after the other."""
    samples = int(NOTE_SECONDS * sample_rate)
    frequency_hz = np.repeat([note_hz(note) for note in notes], samples)
    return torch.from_numpy(0.5 * np.sin(2 * np.pi * np.cumsum(frequency_hz) / sample_rate)).float()[None]


def expected_bin(note: int, teacher: CQTTeacher) -> int:
    """The bin nearest to a note: a semitone is ``bins_per_octave / 12`` bins."""
    return round(teacher.bins_per_octave * float(np.log2(note_hz(note) / teacher.fmin_hz)))


def peak_bins(notes: Sequence[int], teacher: CQTTeacher) -> list[int]:
    """The strongest bin in the middle of each note."""
    magnitudes = teacher(notes_wave(notes, teacher.sample_rate))[0]
    middles = ((np.arange(len(notes)) + 0.5) * NOTE_SECONDS * teacher.sample_rate / teacher.hop_samples).astype(int)
    return magnitudes[torch.from_numpy(middles)].argmax(1).tolist()


def add_known_tones(page: Page, tones: Mapping[str, Sequence[int]], out: Path) -> None:
    """Add pictures and a table of notes, the bins where they belong and where they are found."""
    teacher = CQTTeacher()
    page.heading("The CQT of known tones")
    images, rows = {}, []
    for name, notes in tones.items():
        magnitudes = teacher(notes_wave(notes, teacher.sample_rate))[0].numpy()
        decibels = 20 * np.log10(np.maximum(magnitudes / magnitudes.max(), 10 ** (FLOOR_DB / 20)))
        images[name] = decibels
        expected = [expected_bin(note, teacher) for note in notes]
        found = peak_bins(notes, teacher)
        rows.append([name, _bins(expected), _bins(found), "yes" if found == expected else "NO"])
    cs = {f"C{octave}": expected_bin(12 * (octave + 1), teacher) for octave in range(1, 9)}
    octaves = {f"{note}, bin {place}": place for note, place in cs.items() if place < teacher.bins}
    for place, (name, image) in enumerate(images.items()):
        seconds = (len(image) - 1) * teacher.hop_samples / teacher.sample_rate
        path = draw_spectrograms(
            out / f"cqt_{place}.png", {name: image}, seconds=seconds, ylabel="note", yticks=octaves, value="dB"
        )
        page.picture(path, f"{name}: magnitudes in dB under the peak; {teacher.bins_per_octave} bins an octave.")
    page.table(["tones", "bins where they belong", "strongest bins found", "alike"], rows)


def _bins(bins: Sequence[int]) -> str:
    return " ".join(map(str, dict.fromkeys(bins)))
