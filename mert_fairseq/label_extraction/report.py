"""The teacher report: how labels use their codes, and a test of the CQT with tones whose bins are known."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from mert_fairseq.label_extraction.code_usage import SplitUsage
from mert_fairseq.reporting.figures import draw_bars, draw_curves, draw_spectrograms
from mert_fairseq.reporting.page import Page
from mert_fairseq.reporting.training_log import Curve
from mert_fairseq.teachers.cqt import CQTTeacher

COLUMNS = {
    "codes": "codes",
    "used": "used",
    "entropy_bits": "entropy (bits)",
    "perplexity": "perplexity",
    "most_frequent_share": "share of the most frequent code",
    "mean_duration_ms": "mean duration of a code (ms)",
}
NOTE_SECONDS = 0.5
FLOOR_DB = -80.0
C4 = 60  # MIDI note number
KNOWN_TONES: dict[str, Sequence[int]] = {
    "A4, 440 Hz": [69] * 8,
    "A in octaves, A1 to A7": [33, 45, 57, 69, 81, 93, 105],
    "C major scale from C4": [C4 + step for step in (0, 2, 4, 5, 7, 9, 11, 12)],
    "chromatic scale from C4": [C4 + step for step in range(13)],
}


def write_report(usages: Sequence[SplitUsage], out: Path) -> Path:
    """Write the page and its pictures into the folder ``out``; returns the page's path."""
    out.mkdir(parents=True, exist_ok=True)
    page = Page("Teachers")
    for usage in usages:
        page.heading(f"{usage.split}: {usage.tracks} tracks, {usage.hours:.2f} h")
        rows = [[row["label"], *(f"{row[key]:g}" for key in COLUMNS)] for row in usage.rows]
        page.table(["label", *COLUMNS.values()], rows)
    if usages:
        _add_usage_pictures(page, usages, out)
    _add_known_tones(page, KNOWN_TONES, out)
    return page.write(out)


def _add_usage_pictures(page: Page, usages: Sequence[SplitUsage], out: Path) -> None:
    labels = [row["label"] for row in usages[0].rows]
    shares = {usage.split: [row["perplexity"] / row["codes"] for row in usage.rows] for usage in usages}
    page.heading("How evenly the codes are used")
    title = "1: all codes equally often"
    page.picture(
        draw_bars(out / "perplexity.png", labels, shares, title=title, ylabel="perplexity / codes"),
        "Perplexity divided by the number of codes. A codebook far below the others teaches little. Below 0.05, fit "
        "again on more music or with fewer codes.",
    )
    ranked = {
        label: Curve(1 + np.arange(len(counts)), np.sort(counts)[::-1] / max(1, counts.sum()))
        for label, counts in zip(labels, usages[0].counts, strict=True)
    }
    page.picture(
        draw_curves(
            out / "ranks.png",
            ranked,
            title=f"Codes of {usages[0].split} from the most to the least frequent",
            xlabel="rank",
            ylabel="share of frames",
        ),
        "If a curve reaches 0 before its end, the remaining codes are unused.",
    )
    durations = {usage.split: [row["mean_duration_ms"] for row in usage.rows] for usage in usages}
    page.heading("How long a code lasts")
    page.picture(
        draw_bars(out / "durations.png", labels, durations, title="Mean duration of a run of one code", ylabel="ms"),
        "The model can guess a code that lasts long from a neighbouring frame: masks must be longer than these runs.",
    )


def note_hz(note: int) -> float:
    """Frequency of a MIDI note in equal temperament, A4 at 440 Hz."""
    return 440.0 * 2 ** ((note - 69) / 12)


def notes_wave(notes: Sequence[int], sample_rate: int) -> torch.Tensor:
    """(1, samples) float32: one sine of NOTE_SECONDS per note, end to end."""
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


def _add_known_tones(page: Page, tones: Mapping[str, Sequence[int]], out: Path) -> None:
    """Add one picture per group of tones, and a table of the expected bins and the bins found."""
    teacher = CQTTeacher()
    page.heading("The CQT of known tones")
    images, rows = {}, []
    for name, notes in tones.items():
        magnitudes = teacher(notes_wave(notes, teacher.sample_rate))[0].numpy()
        decibels = 20 * np.log10(np.maximum(magnitudes / magnitudes.max(), 10 ** (FLOOR_DB / 20)))
        images[name] = decibels
        expected = [expected_bin(note, teacher) for note in notes]
        found = peak_bins(notes, teacher)
        rows.append([name, _bins_text(expected), _bins_text(found), "yes" if found == expected else "NO"])
    cs = {f"C{octave}": expected_bin(12 * (octave + 1), teacher) for octave in range(1, 9)}
    octaves = {f"{note}, bin {place}": place for note, place in cs.items() if place < teacher.bins}
    for place, (name, image) in enumerate(images.items()):
        seconds = (len(image) - 1) * teacher.hop_samples / teacher.sample_rate
        path = draw_spectrograms(
            out / f"cqt_{place}.png", {name: image}, seconds=seconds, ylabel="note", yticks=octaves, value="dB"
        )
        page.picture(path, f"{name}: magnitudes in dB below the peak; {teacher.bins_per_octave} bins per octave.")
    page.table(["tones", "expected bins", "strongest bins found", "equal"], rows)


def _bins_text(bins: Sequence[int]) -> str:
    return " ".join(map(str, dict.fromkeys(bins)))
